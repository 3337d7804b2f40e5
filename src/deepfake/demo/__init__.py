"""An embedded, synthetic demo corpus: portraits, a camera, and four generators of fakes."""
