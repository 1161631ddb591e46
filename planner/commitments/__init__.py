"""What is bought ahead, and what an hour costs with it, in each provider's own order."""
