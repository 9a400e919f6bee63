"""The event log: what happened, in order, for whoever wants to know."""

from frontdesk.events.models import Event, Position

__all__ = ["Event", "Position"]
