"""Experiments: studies, sweeps, experiment files, training on several hosts."""
