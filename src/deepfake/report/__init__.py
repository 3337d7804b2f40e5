"""What is written for people about one model version: the page, the model card, the data card."""
