"""The model and the baseline under damage and attack."""
