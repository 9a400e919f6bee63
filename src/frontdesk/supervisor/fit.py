"""Making a tenant's classifier, in a process of its own, so that SciPy stays out of the server."""

import asyncio
import hashlib
import sys
from collections.abc import Sequence

import msgspec

from frontdesk.core.errors import FrontdeskError
from frontdesk.embedding.types import Vectors
from frontdesk.supervisor.classifier import FORMAT

FIT_TIMEOUT_S = 900.0

# A text and its agent; an empty agent: nobody's matter, an example of what is out of scope.
Example = tuple[str, str]


class Lesson(msgspec.Struct, frozen=True):
    """What the fitting process reads: texts, the labels of each, and their vectors as float32 bytes, 384 to a row."""

    texts: list[str]
    labels: list[tuple[str, ...]]
    vectors: bytes


class FitFailed(FrontdeskError):
    """The fitting process ended without a classifier. Nothing is lost: it may be tried again."""

    error_code = "CLASSIFIER_NOT_FITTED"


def fingerprint(examples: Sequence[Example], embedder: str) -> str:
    """Of all that a classifier comes from: other examples, another embedder or other code make another."""
    return hashlib.sha256(msgspec.json.encode([FORMAT, embedder, sorted(examples)])).hexdigest()


async def fit(examples: Sequence[Example], vectors: Vectors) -> bytes:
    """The packed classifier: a second's work for some hundred examples, half a minute's for ten thousand.

    Raises FitFailed.
    """
    lesson = Lesson(
        [text for text, _ in examples],
        [(agent,) if agent else () for _, agent in examples],
        vectors.astype("float32").tobytes(),
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "frontdesk.supervisor.fitting",
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
        reason = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise FitFailed(f"The classifier could not be fitted: {reason or 'its process ended'}.")
    return packed
