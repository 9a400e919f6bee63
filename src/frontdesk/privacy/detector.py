"""Finds personal data in a text: by form and by the words around it."""

import hashlib
import math
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from threading import Lock

from cachetools import LRUCache

from frontdesk.privacy import patterns
from frontdesk.privacy.models import Entity, Finding
from frontdesk.privacy.tagger import Tagger

_REMEMBERED = 8_192  # texts: of each a hash and where something was found, no word of it
# Where two overlap, the one of these that comes first stays; of the same kind, the longer.
_SURE = (
    Entity.EMAIL, Entity.URL, Entity.IBAN, Entity.CARD, Entity.IP, Entity.NATIONAL_ID, Entity.DATE_OF_BIRTH,
    Entity.MEDICAL_RECORD, Entity.PHONE, Entity.ADDRESS, Entity.PERSON, Entity.LOCATION,
)  # fmt: skip
# A long text is read in pieces that overlap, so that no value is cut in two and the time is looked at between them.
_PIECE, _SHARED = 4_000, 300  # characters
_MOST_S = 2.0
_RANK = {entity: rank for rank, entity in enumerate(_SURE)}


class DetectionTooSlow(Exception):
    """The text was not read to its end: what it holds is not known."""


class Detector:
    """Remembers what it found in the last texts, by their hash: a conversation's window is read anew in every turn."""

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger
        self._lock = Lock()
        self._known: LRUCache[bytes, tuple[Finding, ...]] = LRUCache(_REMEMBERED)

    def find(self, text: str, ends_at: float = math.inf) -> tuple[Finding, ...]:
        """All personal data, in the order of the text, none overlapping. Raises DetectionTooSlow, after two seconds or
        at `ends_at` of the monotonic clock."""
        key = _key(text)
        with self._lock:
            found = self._known.get(key)
        if found is None:
            found = tuple(resolve(self._in_pieces(text, ends_at)))
            with self._lock:
                self._known[key] = found
        return found

    def is_known(self, text: str) -> bool:
        """Whether `find` remembers the text, so that it takes no time."""
        return _key(text) in self._known

    def _in_pieces(self, text: str, ends_at: float) -> Iterator[Finding]:
        ends_at = min(ends_at, time.monotonic() + _MOST_S)
        for start in range(0, max(len(text) - _SHARED, 1), _PIECE - _SHARED):
            if time.monotonic() > ends_at:
                raise DetectionTooSlow("A text could not be searched for personal data in time.")
            piece = text[start : start + _PIECE]
            for each in (*patterns.find(piece), *self._tagger.find(piece)):
                yield Finding(each.entity, each.start + start, each.end + start)


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def resolve(found: Iterable[Finding]) -> list[Finding]:
    """In order, without overlaps: of those that overlap, the surer kind and then the longer stays whole."""
    kept: list[Finding] = []  # in order
    for each in sorted(found, key=lambda each: (_RANK[each.entity], each.start - each.end)):
        place = bisect_left(kept, each.start, key=lambda other: other.end - 1)
        if each.end > each.start and (place == len(kept) or each.end <= kept[place].start):
            kept.insert(place, each)
    return kept
