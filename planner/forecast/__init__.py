"""Demand to come, as quantiles: from its own past, and from work that is known of."""
