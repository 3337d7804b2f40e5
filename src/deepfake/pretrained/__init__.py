"""Weights that come from elsewhere: found in a package, fetched, checked, and read without running code."""
