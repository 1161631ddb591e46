"""Forecasters that need more than numpy."""
