"""The keys that texts are sealed with: the configured ones, which must be all that the database asks for."""

from collections.abc import Sequence

from frontdesk.core.errors import SettingsError
from frontdesk.core.settings import Settings
from frontdesk.db import Database, keys
from frontdesk.db.cipher import Cipher, key_id, new_key_file, parse_keys, read_key_file


async def cipher(settings: Settings, db: Database) -> Cipher:
    """Of the configured keys; of a new key file where there is none and the database never had one.

    Raises SettingsError when a key is missing that texts were sealed with: nothing was changed then.
    """
    configured = configured_keys(settings)
    if not configured:
        _refuse_missing(settings, configured, await keys.missing(db, []))
        new_key_file(settings.data / "keys")
        configured = configured_keys(settings)
    _refuse_missing(settings, configured, await keys.join(db, [key_id(key) for key in configured]))
    return Cipher(configured)


async def examined(settings: Settings, db: Database) -> str:
    """What `frontdesk doctor` says of them; makes nothing. Raises SettingsError as `cipher` does."""
    configured = configured_keys(settings)
    ids = [key_id(key) for key in configured]
    _refuse_missing(settings, configured, await keys.missing(db, ids))
    return f"{_listed(ids)}; the first seals" if ids else "none yet, the first start makes one"


def configured_keys(settings: Settings) -> list[bytes]:
    """The first seals. Empty where they come from the key file, and there is none. Raises SettingsError."""
    if settings.encryption_keys is not None:
        return parse_keys(settings.encryption_keys.get_secret_value(), "FRONTDESK_ENCRYPTION_KEYS")
    return read_key_file(settings.data / "keys")


def _refuse_missing(settings: Settings, configured: Sequence[bytes], missing: Sequence[bytes]) -> None:
    if not missing:
        return
    origin = settings.data / "keys" if settings.encryption_keys is None else "FRONTDESK_ENCRYPTION_KEYS"
    has = f"has only {_listed([key_id(key) for key in configured])}" if configured else "is not there"
    raise SettingsError(
        f"The database holds texts that are sealed with the key {_listed(missing)}, and {origin} {has}. "
        "Messages, summaries, decisions, events and tenants' secrets of that key can't be read. Nothing was changed. "
        "Put the key back, from a backup or from the server that made it: all servers on one database have the same "
        f"keys. Only if it is lost for good: frontdesk forget-key {missing[0].hex()}"
    )


def _listed(ids: Sequence[bytes]) -> str:
    return ", ".join(each.hex() for each in ids)
