"""Demand to come, as quantiles, from its own past."""
