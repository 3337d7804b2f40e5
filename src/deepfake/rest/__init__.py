"""The REST service: the same verdicts over HTTP, within limits."""
