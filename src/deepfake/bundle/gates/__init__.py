"""What stands in front of production: checks of one model, and of two on the same pictures."""
