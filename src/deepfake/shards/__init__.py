"""The manifest, shards of examples, and the one way to spread work over shards."""
