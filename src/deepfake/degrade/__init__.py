"""Damage and forgery that the project makes itself: operators, chains, pseudo-fakes."""
