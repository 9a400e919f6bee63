"""The keys that tokens are signed with: made when first needed, renewed with an overlap, published."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any  # a JWK is JSON

import structlog
from joserfc.jwk import RSAKey

from frontdesk.audit import DEPLOYMENT
from frontdesk.core import json
from frontdesk.core.clock import Clock
from frontdesk.core.errors import DatabaseUnavailable
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher, DecryptFailed
from frontdesk.identity import signing_store as store
from frontdesk.identity.jwts import SKEW_S
from frontdesk.identity.signing_store import SigningKeyRow

ALGORITHM = "RS256"
BITS = 2048
# The longest that a token may be good for.
LONGEST_S = 3600.0
# A new key is published for so long before it signs: longer than anybody keeps the old list (PUBLIC_FOR_S).
PUBLISHED_BEFORE_S = 600.0
PUBLIC_FOR_S = 300
# Other processes' new keys are seen within this time, and at once when a token names one; but not more often than so.
FRESH_S = 60.0
ASK_AGAIN_S = 2.0

log = structlog.get_logger()


class SigningKeys:
    """Of the whole deployment, in the database; the private ones sealed."""

    def __init__(self, db: Database, cipher: Cipher, clock: Clock) -> None:
        self._db = db
        self._cipher = cipher
        self._clock = clock
        self._rows: tuple[SigningKeyRow, ...] = ()
        self._public: dict[str, RSAKey] = {}
        self._private: dict[str, RSAKey] = {}
        self._closed: set[str] = set()
        self._read_at = -FRESH_S
        self._reading = asyncio.Lock()

    async def public(self, kid: str) -> RSAKey | None:
        """The key that verifies what `kid` signed; None for one that is not ours, or not any more."""
        await self._read(FRESH_S)
        if all(row.kid != kid for row in self._rows):
            await self._read(ASK_AGAIN_S)
        return self._public.get(kid) if any(row.kid == kid for row in self._good()) else None

    async def published(self) -> list[dict[str, Any]]:
        """Those that sign, will sign, or have signed what is still good: public JWKs (RFC 7517)."""
        await self._signing()  # a deployment without a key gets one, so that the list is never empty
        return [row.public for row in self._good()]

    async def signer(self) -> RSAKey:
        """The private key to sign with now, made where there is none."""
        return self._private[(await self._signing()).kid]

    async def rotate(self, *, at_once: bool = False) -> datetime:
        """When the new key begins to sign. Old ones go on verifying while what they signed may be good.

        `at_once`: it signs now, and everything that older ones signed is void, within FRESH_S everywhere.
        """
        await self._read(0)
        before = [row.kid for row in self._rows]
        overlap = timedelta(seconds=0 if at_once or not before else PUBLISHED_BEFORE_S)
        new = await self._made(self._clock.now() + overlap)
        await store.add(self._db, new)
        good = {row.kid for row in self._good()}
        await store.remove(self._db, [kid for kid in before if at_once or kid not in good])
        await self._read(0)
        return new.signs_from

    async def _signing(self) -> SigningKeyRow:
        await self._read(FRESH_S)
        found = self._newest()
        if found is None:
            log.info("signing.key_made")
            made = await self._made(self._clock.now())
            await store.add(self._db, made, first=True, closed=sorted(self._closed))
            await self._read(0)
            found = self._newest()
        assert found is not None, "one was there, or was just added"
        return found

    def _newest(self) -> SigningKeyRow | None:
        now = self._clock.now()
        return next((row for row in reversed(self._rows) if row.signs_from <= now and row.kid in self._private), None)

    def _good(self) -> Sequence[SigningKeyRow]:
        """Without those whose last token is over."""
        now, longest = self._clock.now(), timedelta(seconds=LONGEST_S + 2 * SKEW_S)
        over = {older.kid for older, newer in pairwise(self._rows) if newer.signs_from + longest < now}
        return [row for row in self._rows if row.kid not in over]

    async def _made(self, signs_from: datetime) -> SigningKeyRow:
        kid = str(new_id())
        key = await asyncio.to_thread(RSAKey.generate_key, BITS, {"kid": kid, "use": "sig", "alg": ALGORITHM})
        private = self._cipher.seal(DEPLOYMENT, json.dumps(key.as_dict(private=True)))
        return SigningKeyRow(kid, dict(key.as_dict(private=False)), private, signs_from)

    async def _read(self, fresh_s: float) -> None:
        """Unless they were read within `fresh_s`. While the database is away those that are known go on."""
        if self._clock.monotonic() - self._read_at < fresh_s:
            return
        async with self._reading:
            if self._clock.monotonic() - self._read_at < fresh_s:
                return
            try:
                rows = await store.keys(self._db)
            except DatabaseUnavailable:
                if not self._rows:
                    raise
                return
            self._take(rows)
            self._read_at = self._clock.monotonic()

    def _take(self, rows: Sequence[SigningKeyRow]) -> None:
        self._rows = tuple(rows)
        kids = {row.kid for row in rows}
        for keys in (self._public, self._private):
            for kid in keys.keys() - kids:
                del keys[kid]
        self._closed &= kids
        for row in rows:
            if row.kid not in self._public:
                self._public[row.kid] = RSAKey.import_key(row.public)
            if row.kid not in self._private:
                self._open(row)

    def _open(self, row: SigningKeyRow) -> None:
        """One whose sealing key is gone verifies, but signs no more."""
        try:
            self._private[row.kid] = RSAKey.import_key(json.loads(self._cipher.open(DEPLOYMENT, row.private)))
            self._closed.discard(row.kid)
        except DecryptFailed:
            if row.kid not in self._closed:
                log.warning("signing.key_closed", kid=row.kid)
            self._closed.add(row.kid)
