"""Code that every room may use: errors, statistics, plots, runtime, input and output of stages."""
