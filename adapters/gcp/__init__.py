"""Google Cloud: machines of Compute Engine behind the provider port, and what they cost."""
