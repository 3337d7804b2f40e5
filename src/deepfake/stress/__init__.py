"""The model under damage and attack, beside the baseline."""
