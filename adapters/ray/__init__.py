"""Ray clusters as a source of work."""
