"""The bundle: one folder with everything from bytes to verdict, which a predictor loads."""
