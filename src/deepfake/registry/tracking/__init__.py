"""MLflow's store and its runs, to which a training reports."""
