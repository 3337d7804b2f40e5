"""Is the data sound? Expectations on the manifest and the page that says so."""
