"""The keys that texts are sealed with: the configured ones, which must be all that the database asks for.

Every process that seals says in the database which keys it knows, and seals with the first one that all of them know:
so a new key may be given to one server after the other.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import structlog

from frontdesk.core.errors import DatabaseUnavailable, SettingsError
from frontdesk.core.ids import new_id
from frontdesk.core.settings import Settings
from frontdesk.db import Database, keys
from frontdesk.db.cipher import Cipher, key_id, new_key_file, parse_keys, read_key_file

BEAT_S = 10.0

log = structlog.get_logger()


@asynccontextmanager
async def kept(settings: Settings, db: Database, beat_s: float = BEAT_S) -> AsyncIterator[Cipher]:
    """Of the configured keys; of a new key file where there is none and the database never had one.

    While the context lasts the database hears of it, and a changed key file is read again. Raises SettingsError when
    a key is missing that texts were sealed with: nothing was changed then.
    """
    sealing = await _begun(settings, db)
    beating = asyncio.create_task(sealing.keep_beating(beat_s))
    try:
        yield sealing.cipher
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        with suppress(DatabaseUnavailable):
            await keys.leave(db, sealing.server)


async def examined(settings: Settings, db: Database) -> str:
    """What `frontdesk doctor` says of them; makes nothing. Raises SettingsError as `kept` does."""
    ids = [key_id(key) for key in await _configured(settings, db)]
    _refuse_missing(settings, ids, await keys.missing(db, ids))
    return f"{listed(ids)}; the first seals" if ids else "none yet, the first start makes one"


def configured_keys(settings: Settings) -> list[bytes]:
    """The first seals. Empty where they come from the key file, and there is none. Raises SettingsError."""
    if settings.encryption_keys is not None:
        return parse_keys(settings.encryption_keys.get_secret_value(), "FRONTDESK_ENCRYPTION_KEYS")
    return read_key_file(settings.data / "keys")


def listed(ids: Sequence[bytes]) -> str:
    return ", ".join(each.hex() for each in ids)


class _Sealing:
    """One process's word in the database, and its cipher."""

    def __init__(self, settings: Settings, db: Database, server: UUID, configured: Sequence[bytes]) -> None:
        self._settings = settings
        self._db = db
        self._configured = list(configured)
        self._told: object = None  # what was logged last: a state is told once
        self.server = server
        self.cipher = Cipher(configured)

    async def keep_beating(self, beat_s: float) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(beat_s)
            try:
                self._read_again()
                await self._beat()
            except DatabaseUnavailable:
                continue
            except SettingsError as error:
                self._tell("keys.refused", detail=error.detail)
            except Exception:  # the edge: without its word no key could be rotated, and nobody would notice
                log.exception("background.failed", part="sealing")

    async def _beat(self) -> None:
        # A key that the file has no more is known as long as the process runs: somebody may have a text of it in hand.
        ids = [key_id(key) for key in self._configured]
        ids += [each for each in self.cipher.ids if each not in ids]
        heard = await keys.beat(self._db, self.server, socket.gethostname(), ids, self.cipher.seals_with)
        if heard.missing:
            self._tell("keys.missing", keys=listed(heard.missing))
        elif heard.waits_for:
            self._tell("keys.waiting", key=ids[0].hex(), hosts=sorted(set(heard.waits_for)))
        if heard.seals is not None and heard.seals != self.cipher.seals_with:
            self.cipher.seal_with(heard.seals)
            self._tell("keys.changed", seals=heard.seals.hex())

    def _read_again(self) -> None:
        """A key file that can't be read now changes nothing: what is known stays known."""
        found = configured_keys(self._settings)
        if found and found != self._configured:
            self._configured = found
            self.cipher.learn(found)

    def _tell(self, event: str, **fields: object) -> None:
        if (event, fields) != self._told:
            self._told = (event, fields)
            (log.info if event == "keys.changed" else log.warning)(event, **fields)


async def _begun(settings: Settings, db: Database) -> _Sealing:
    configured = await _configured(settings, db)
    if not configured:
        _refuse_missing(settings, [], await keys.missing(db, []))
        new_key_file(settings.data / "keys")
        configured = configured_keys(settings)
    sealing = _Sealing(settings, db, new_id(), configured)
    ids = [key_id(key) for key in configured]
    heard = await keys.beat(db, sealing.server, socket.gethostname(), ids, None)
    _refuse_missing(settings, ids, heard.missing)
    if heard.seals is None:
        raise SettingsError(
            f"The servers that run on this database ({', '.join(sorted(set(heard.waits_for)))}) know none of the keys "
            f"{listed(ids)} of {origin(settings)}. Nothing was changed. All servers on one database have the same keys."
        )
    sealing.cipher.seal_with(heard.seals)
    if heard.seals != ids[0]:
        log.warning("keys.waiting", key=ids[0].hex(), hosts=sorted(set(heard.waits_for)))
    return sealing


async def _configured(settings: Settings, db: Database) -> list[bytes]:
    """Where they can't be read, the sentence says also what can't be opened without them."""
    try:
        return configured_keys(settings)
    except SettingsError as error:
        if needed := await keys.missing(db, []):
            raise SettingsError(f"{error.detail}\n{_lost(needed)}") from error
        raise


def origin(settings: Settings) -> str:
    return str(settings.data / "keys") if settings.encryption_keys is None else "FRONTDESK_ENCRYPTION_KEYS"


def _refuse_missing(settings: Settings, configured: Sequence[bytes], missing: Sequence[bytes]) -> None:
    if not missing:
        return
    has = f"has only {listed(configured)}" if configured else "is not there"
    raise SettingsError(
        f"The database holds texts that are sealed with the key {listed(missing)}, and {origin(settings)} {has}. "
        + _lost(missing)
    )


def _lost(missing: Sequence[bytes]) -> str:
    return (
        f"Messages, summaries, decisions, events and tenants' secrets of the key {listed(missing)} can't be read. "
        "Nothing was changed. Put the key back, from a backup or from the server that made it: all servers on one "
        f"database have the same keys. Only if it is lost for good: frontdesk forget-key {missing[0].hex()}"
    )
