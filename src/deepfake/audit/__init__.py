"""Which facts other than forgery tell real from fake, before and after preprocessing."""
