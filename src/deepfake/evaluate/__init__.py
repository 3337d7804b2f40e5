"""Metrics with intervals, calibration, baselines, figures."""
