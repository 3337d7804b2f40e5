"""A whole clip: limits of its own for the score of a clip, and a model of its frames if that is better."""
