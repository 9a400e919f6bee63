"""The audit log: who did what to what, when and from where; append-only, each tenant's entries chained by hashes."""

from frontdesk.audit.denials import Denials
from frontdesk.audit.models import DEPLOYMENT, Actor, Entry, contact_target
from frontdesk.audit.store import append, append_to_deployment, close

__all__ = ["DEPLOYMENT", "Actor", "Denials", "Entry", "append", "append_to_deployment", "close", "contact_target"]
