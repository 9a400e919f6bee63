"""The screen before providers, as the server makes it."""

from functools import cache

from frontdesk.llm.screen import Screen
from frontdesk.privacy.detector import Detector
from frontdesk.privacy.tagger import Tagger


@cache
def detector() -> Detector:
    return Detector(Tagger.load())


def screen(*trusted: str) -> Screen:
    return Screen(detector(), trusted)
