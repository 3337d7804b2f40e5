"""Raw shards -> face shards: face crops with the same history, and splits."""
