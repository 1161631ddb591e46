"""What to buy ahead: demand scenarios, the value of each unit of a commitment, and the choice."""
