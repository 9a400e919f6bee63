"""The audit log: who did what to what, when and from where; append-only, each tenant's entries chained by hashes."""

from frontdesk.audit.models import DEPLOYMENT, Actor, Entry, contact_target
from frontdesk.audit.store import append, append_to_deployment, close
from frontdesk.audit.tally import Tally

__all__ = ["DEPLOYMENT", "Actor", "Entry", "Tally", "append", "append_to_deployment", "close", "contact_target"]
