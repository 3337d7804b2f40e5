"""Deepfake-image detection whose numbers can be believed."""
