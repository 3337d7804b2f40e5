"""Why the detector said so: heat maps and spectra."""
