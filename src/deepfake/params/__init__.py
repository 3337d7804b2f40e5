"""One module per section of params.yaml. A stage depends only on the sections that it reads."""
