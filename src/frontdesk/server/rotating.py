"""`frontdesk rotate-keys`: a new first key, everything sealed anew with it, and the old keys no longer asked for.

Each step finds out for itself what is done already, so that a run which was killed is simply run again.
"""

import asyncio

import asyncpg
import msgspec

from frontdesk import audit
from frontdesk.audit import Actor
from frontdesk.core.errors import DatabaseUnavailable, SettingsError
from frontdesk.core.settings import Settings
from frontdesk.db import Database, keys
from frontdesk.db.cipher import Cipher, key_id, new_key, replace_key_file
from frontdesk.db.resealing import OnBlocks, Resealed, left, reseal
from frontdesk.server import sealing
from frontdesk.server.database import OpenDatabase, Say

# A running server reads the key file and says so within a beat or two; a killed one is believed gone by then.
PATIENCE_S = keys.SILENT_S + 2 * sealing.BEAT_S
# A text that a server sealed before it changed its key is in the database after so long: a statement's time and more.
GRACE_S = 60.0
LOOK_S = 0.5
MOST_WALKS = 20


class Rotated(msgspec.Struct, frozen=True):
    first: bytes  # the id of the key that everything is sealed with
    retired: list[bytes]
    resealed: Resealed  # of all walks; `closed` of the last


async def rotate(
    settings: Settings,
    opened: OpenDatabase,
    say: Say,
    on_blocks: OnBlocks,
    *,
    patience_s: float = PATIENCE_S,
    grace_s: float = GRACE_S,
) -> Rotated | None:
    """None when there is nothing to do (keys of the environment). Raises SettingsError; nothing is lost then."""
    database = opened.database
    first = await _first_key(settings, database, say)
    if first is None:
        return None
    async with sealing.kept(settings, database) as cipher:
        await _agreed(database, cipher, first, settings, say, patience_s)
        total = await _all_resealed(opened.owner_url, database, cipher, say, on_blocks, grace_s)
        retired = await keys.retire(database, first)
        if retired:
            await _recorded(database, first, retired)
        return Rotated(first, retired, total)


async def _recorded(database: Database, first: bytes, retired: list[bytes]) -> None:
    async with database.scope(audit.DEPLOYMENT) as scope:
        actor = Actor("command", "rotate-keys")
        before, after = {"keys": [each.hex() for each in retired]}, {"keys": [first.hex()]}
        await audit.append_to_deployment(scope, actor, "keys.rotated", f"sealing-key/{first.hex()}", before, after)


async def _first_key(settings: Settings, database: Database, say: Say) -> bytes | None:
    """The id of the key to seal with. Where keys come from the key file, it stands first there now."""
    configured = sealing.configured_keys(settings)
    await sealing.examined(settings, database)  # raises where one is missing
    if not configured:
        raise SettingsError("There is no key yet: the first start makes one. There is nothing to rotate.")
    ids = [key_id(key) for key in configured]
    noted = await keys.missing(database, [])
    unused = [each for each in ids if each not in noted]
    spare = [each for each in unused if each not in await keys.retired(database, unused)]
    is_begun = len(noted) > 1 or ids[0] in spare or (bool(noted) and ids[0] not in noted)
    if is_begun:
        return ids[0]
    if settings.encryption_keys is not None:
        return None
    fresh = configured[ids.index(spare[0])] if spare else new_key()
    replace_key_file(settings.data / "keys", [fresh, *(key for key in configured if key != fresh)])
    say(f"{settings.data / 'keys'}: the new key {key_id(fresh).hex()} is the first now; back the file up.")
    return key_id(fresh)


async def _agreed(
    database: Database, cipher: Cipher, first: bytes, settings: Settings, say: Say, patience_s: float
) -> None:
    """Waits until every process seals with `first`, this one too. Raises SettingsError."""
    end = asyncio.get_running_loop().time() + patience_s
    told = False
    while others := [each for each in await keys.servers(database) if each.seals != first]:
        if asyncio.get_running_loop().time() > end:
            # Those that know it only wait for those that do not.
            behind = [each for each in others if first not in each.knows] or others
            where = ", ".join(
                f"{each.host} ({'seals with ' + each.seals.hex() if first in each.knows else 'does not know it'}, "
                f"heard {each.silent_s:.0f} s ago)"
                for each in behind
            )
            raise SettingsError(
                f"Not every server seals with the key {first.hex()} yet: {where}. Nothing was sealed anew. Give each "
                f"the keys of {sealing.origin(settings)} (servers with key files read them by themselves, the others "
                "when they are restarted), then run frontdesk rotate-keys again. A server that was killed counts for "
                f"{keys.SILENT_S:.0f} s."
            )
        if not told:
            say("Waiting until every server seals with the new key")
            told = True
        await asyncio.sleep(LOOK_S)
    cipher.seal_with(first)


async def _all_resealed(
    owner_url: str, database: Database, cipher: Cipher, say: Say, on_blocks: OnBlocks, grace_s: float
) -> Resealed:
    """Walks until one finds nothing, the last after what servers had in hand is written."""
    total = Resealed()
    waited = False
    try:
        connection = await asyncpg.connect(owner_url, timeout=10)
        try:
            for _ in range(MOST_WALKS):
                walk = await reseal(connection, cipher, on_blocks)
                total.rows += walk.rows
                total.closed = walk.closed
                if walk.rows or walk.missed or await left(connection, cipher) > walk.closed:
                    continue
                if waited or not (left_s := await _in_hand_s(database, grace_s)):
                    return total
                say(f"Waiting {left_s:.0f} s for what servers sealed before they changed their key")
                await asyncio.sleep(left_s)
                waited = True
        finally:
            await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError) as error:
        raise DatabaseUnavailable("The database was lost. Run frontdesk rotate-keys again: it goes on.") from error
    raise SettingsError(
        f"Something still seals with an older key after {MOST_WALKS} walks: a server of an older version? "
        "Stop it, then run frontdesk rotate-keys again."
    )


async def _in_hand_s(database: Database, grace_s: float) -> float:
    """Seconds until nothing can come any more that was sealed before the last server changed its key."""
    servers = await keys.servers(database)
    if len(servers) <= 1:  # this process alone
        return 0.0
    return max(0.0, grace_s - min(each.seals_s for each in servers))
