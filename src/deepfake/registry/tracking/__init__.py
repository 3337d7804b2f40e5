"""MLflow's store and its runs: what a training reports to."""
