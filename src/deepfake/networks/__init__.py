"""Flat functional graphs that end in one logit; layers in `keras.ops`, nothing of TensorFlow."""
