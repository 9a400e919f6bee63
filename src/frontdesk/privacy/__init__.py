"""Personal data: where it is in a text, and what leaves the house of it."""
