"""Conversations: accepting messages, running turns, completing them, and everything that survives a crash."""
