"""What machines cost whom: charge lines, and what reports derive from them."""
