"""Bytes become safe pixels here, and only here; our own encoders."""
