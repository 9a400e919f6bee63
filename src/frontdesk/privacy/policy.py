"""What a tenant wants done with personal data, for each way by which it could leave the turn that needs it."""

from enum import StrEnum

import msgspec

from frontdesk.privacy.models import Entity


class Handling(StrEnum):
    PASS = "pass"  # as it is  # noqa: S105  # not a password
    REDACT = "redact"


# Who somebody is, and how to reach or charge him. A town, a web page or a name of a net's computer alone are not among
# them: answers often need those, and they say little about a person.
IDENTIFYING = (
    Entity.PERSON, Entity.ADDRESS, Entity.EMAIL, Entity.PHONE, Entity.CARD, Entity.IBAN, Entity.NATIONAL_ID,
    Entity.DATE_OF_BIRTH, Entity.MEDICAL_RECORD, Entity.IP,
)  # fmt: skip


class PrivacySettings(msgspec.Struct, frozen=True):
    """`privacy:` of `tenant.yaml`. `entities` are what `redact` means."""

    providers: Handling = Handling.REDACT  # reversible: answers get the values back
    storage: Handling = Handling.PASS  # for good, when the session has expired
    events: Handling = Handling.PASS  # for good, what the log of events holds of a message
    logs: Handling = Handling.REDACT  # an id that is an e-mail address or the like: as a hash
    exports: Handling = Handling.PASS  # for good, what `frontdesk export --with-data` writes
    entities: tuple[Entity, ...] = IDENTIFYING

    def hidden_from(self, handling: Handling) -> frozenset[Entity]:
        """What is hidden by one of the above."""
        return frozenset(self.entities) if handling is Handling.REDACT else frozenset()
