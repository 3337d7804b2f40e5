"""Damage and forgery of our own: operators, chains, pseudo-fakes."""
