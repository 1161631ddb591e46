"""Spark applications as a source of work."""
