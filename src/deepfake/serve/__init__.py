"""From files to verdicts: one path for the app, the command line and the registered model."""
