"""Sources: where pictures come from. Each source lists its files and the facts that are known of them."""
