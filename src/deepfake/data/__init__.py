"""From sources to face shards: ingest, validate, preprocess."""
