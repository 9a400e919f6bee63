"""Tenants: who they are."""
