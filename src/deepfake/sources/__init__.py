"""Sources: where pictures come from. Each lists the files it holds with what is known of them."""
