"""What a tenant may use. The tenant's own file says it, or the deployment's settings."""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """None: as the deployment says; where that says nothing either, without limit."""

    messages_per_minute: int | None = None  # of the whole tenant
    key_messages_per_minute: int | None = None  # by one API key
    contact_messages_per_minute: int | None = None
    address_messages_per_minute: int | None = None
    concurrent_turns: int | None = None
    conversation_messages: int | None = None  # of both sides
    documents: int | None = None
    storage_mb: int | None = None  # of documents' text
    usd_per_day: float | None = None  # of models, by the day of UTC
    usd_per_month: float | None = None
    warn_at: float | None = None  # share of a budget

    @property
    def has_budget(self) -> bool:
        return self.usd_per_day is not None or self.usd_per_month is not None

    def over(self, defaults: "Limits") -> "Limits":
        """These, and the defaults where they say nothing."""
        return Limits(
            *[
                default if own is None else own
                for own, default in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(defaults), strict=True)
            ]
        )
