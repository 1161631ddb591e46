"""Stand-ins for what the clouds serve over HTTP. What they do not implement they refuse."""
