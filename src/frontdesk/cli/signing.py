"""`frontdesk rotate-signing-key`: tokens are signed with a new key."""

from datetime import datetime

from frontdesk import audit
from frontdesk.audit import DEPLOYMENT, Actor
from frontdesk.core.clock import SystemClock
from frontdesk.core.settings import Settings
from frontdesk.identity.signing import SigningKeys
from frontdesk.server import sealing
from frontdesk.server.database import Say, opened

_COMMAND = Actor("command", "frontdesk rotate-signing-key")


async def rotate(settings: Settings, say: Say, *, at_once: bool) -> datetime:
    """From when the new key signs. Works beside running servers."""
    async with opened(settings, say, alone=False) as open_database:
        database = open_database.database
        async with sealing.kept(settings, database) as cipher:
            moment = await SigningKeys(database, cipher, SystemClock()).rotate(at_once=at_once)
        async with database.scope(DEPLOYMENT) as scope:
            await audit.append(scope, _COMMAND, "signing_key.rotated", "signing_key", after={"at_once": at_once})
    return moment
