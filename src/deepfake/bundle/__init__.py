"""The bundle that is registered: one folder that holds the way from bytes to verdict, and its predictor."""
