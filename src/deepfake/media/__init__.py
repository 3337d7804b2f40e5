"""Untrusted bytes -> safe pixels (only here), and the encoders of the project's own files."""
