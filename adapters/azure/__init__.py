"""Azure: virtual machines behind the provider port, and what they cost."""
