"""The embedded demo corpus: rendered portraits, a simulated camera, and four generators of fakes."""
