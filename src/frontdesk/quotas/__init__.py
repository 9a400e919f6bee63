"""What a tenant, an API key, a contact and an address may use, and what a tenant may spend."""
