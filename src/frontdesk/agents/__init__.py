"""Agents: their definitions, their prompts, and the runner (the tool loop)."""
