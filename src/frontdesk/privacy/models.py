"""What personal data is called here, and where in a text it was found."""

from dataclasses import dataclass
from enum import StrEnum


class Entity(StrEnum):
    """A kind of personal data. The names stand in placeholders (`[EMAIL_1]`) and in tenants' files."""

    PERSON = "PERSON"
    ADDRESS = "ADDRESS"
    LOCATION = "LOCATION"
    EMAIL = "EMAIL"
    PHONE = "PHONE"
    CARD = "CARD"
    IBAN = "IBAN"
    NATIONAL_ID = "NATIONAL_ID"
    DATE_OF_BIRTH = "DATE_OF_BIRTH"
    MEDICAL_RECORD = "MEDICAL_RECORD"
    IP = "IP"
    URL = "URL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of personal data: characters `start` to `end` (exclusive) of the text."""

    entity: Entity
    start: int
    end: int
