"""What processes share besides the database: a cache, limits by time, and what they tell one another at once."""
