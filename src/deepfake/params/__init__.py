"""One module per section of params.yaml; a stage depends on those that it reads."""
