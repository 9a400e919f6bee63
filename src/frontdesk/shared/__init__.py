"""What processes share besides the database: a cache, limits, and what they tell one another at once."""
