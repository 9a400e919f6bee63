"""Adapters: one module for each wire format, and nothing in them but the format."""
