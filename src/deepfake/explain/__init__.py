"""Explanations of the detector's scores: heat maps and spectra."""
