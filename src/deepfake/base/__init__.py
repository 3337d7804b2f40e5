"""What every room stands on: errors, statistics, plots, runtime, the input and output of stages."""
