"""Input pipeline, augmentation, two-phase fit."""
