"""The documents about one model version: the page, the model card, the data card."""
