"""What every room stands on: errors, plots, runtime, the input and output of stages."""
