"""Experiments: experiment files, sweeps, training on several hosts."""
