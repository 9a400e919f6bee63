"""What a classifier is fitted from, as it goes to the process that fits it."""

import asyncio
import sys
from collections.abc import Sequence

import msgspec

from frontdesk.embedding.types import Vectors
from frontdesk.supervisor.classifier import Classifier

FIT_TIMEOUT_S = 900.0


class Lesson(msgspec.Struct, frozen=True):
    """Texts, the labels of each (none: out of scope), and their vectors as float32 bytes, 384 to a row."""

    texts: list[str]
    labels: list[tuple[str, ...]]
    vectors: bytes


class FitFailed(Exception):
    """The fitting process ended without a classifier. Nothing is lost: it may be tried again."""


async def fitted(texts: Sequence[str], labels: Sequence[tuple[str, ...]], vectors: Vectors) -> Classifier:
    """A classifier, made in a process of its own: a second for some hundred examples, half a minute for ten thousand."""
    lesson = Lesson(list(texts), list(labels), vectors.astype("float32").tobytes())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "frontdesk.supervisor.fit",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(FIT_TIMEOUT_S):
            packed, complaint = await process.communicate(msgspec.msgpack.encode(lesson))
    except TimeoutError as error:
        raise FitFailed(f"The classifier was not fitted within {FIT_TIMEOUT_S:.0f} s.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise FitFailed(complaint.decode(errors="replace").strip().rpartition("\n")[2] or "The fitting process ended.")
    return await asyncio.to_thread(Classifier.unpack, packed)
