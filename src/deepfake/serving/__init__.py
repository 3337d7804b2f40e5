"""One predictor (bytes -> faces -> scores -> verdict) for the app, the CLI and REST alike."""

DEFAULT_MODEL = "models:/deepfake-detector@production"
