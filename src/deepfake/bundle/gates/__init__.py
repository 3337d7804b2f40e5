"""The gates before production: checks of one model, and of two models on the same pictures."""
