"""Language models: one request and response type, the gateway, and the providers behind it."""
