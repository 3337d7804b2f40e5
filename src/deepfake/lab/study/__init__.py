"""Leave one generator out: which part of a detector earns its place on fakes it never saw."""
