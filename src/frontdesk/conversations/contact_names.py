"""How a contact is called where the tenant wants no personal data."""

from uuid import UUID

from frontdesk.audit import contact_target
from frontdesk.privacy import patterns
from frontdesk.privacy.policy import Handling


def contact_name(tenant_id: UUID, contact: str, handling: Handling) -> str:
    """The contact's id; of an e-mail address or the like a hash, unless it may pass."""
    is_shown = handling is Handling.PASS or not patterns.find(contact)
    return contact if is_shown else contact_target(tenant_id, contact)
