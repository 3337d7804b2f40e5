"""Checks of the data: expectations on the manifest, and a page with their results."""
