"""The `frontdesk` commands."""

from frontdesk.cli.app import main

__all__ = ["main"]
