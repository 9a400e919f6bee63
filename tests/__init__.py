"""frontdesk's tests: real PostgreSQL, a real browser, and vendors as their wire formats on loopback."""
