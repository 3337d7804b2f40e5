"""From raw shards to face shards: face crops, one history, splits."""
