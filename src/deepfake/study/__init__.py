"""Hold generators out in turn: which part of a detector earns its place on fakes it never saw."""
