"""Parameters of the stage ingest: sources and limits."""
