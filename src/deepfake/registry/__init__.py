"""Runs, registered models and their aliases. The only room that imports MLflow."""
