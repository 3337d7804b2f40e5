"""Every file of every source becomes a manifest row and bytes in a raw shard."""
