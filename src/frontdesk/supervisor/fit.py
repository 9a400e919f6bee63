"""Fits a classifier to a tenant's examples, in a process of its own."""

import asyncio
import hashlib
import os
import re
import sys
from collections.abc import Sequence

import msgspec
import numpy as np

from frontdesk.core.errors import FrontdeskError, Invalid
from frontdesk.embedding import DIMENSIONS, Embedder, Vectors
from frontdesk.supervisor.classifier import FORMAT

Example = tuple[str, str]  # text, label; an empty label: an example of what none of the labels is for

MOST_EXAMPLES = 20_000
FIT_TIMEOUT_S = 300.0
# One core: the other stays free for the server.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

_BREAKS = re.compile(r"[\W_]+")


class FitFailed(FrontdeskError):
    """The classifier could not be fitted; the one before stays in use."""


class Order(msgspec.Struct, frozen=True, array_like=True):
    """What the process is given: distinct texts, the labels of each (none: an example of no label), their vectors."""

    texts: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    vectors: bytes  # float32 (texts, 384)
    spoken: bytes  # float32 (distinct labels, sorted; 384): what the labels' own names mean


def fingerprint(examples: Sequence[Example], embedder_name: str) -> str:
    """The same for the same examples in any order: while it stays, the stored classifier fits."""
    content = msgspec.msgpack.encode((FORMAT, embedder_name, sorted(set(examples))))
    return hashlib.sha256(content).hexdigest()


def spoken(label: str) -> str:
    """The label's name as words: a label is called after what it is for."""
    return _BREAKS.sub(" ", label).strip().casefold() or label


async def fit(examples: Sequence[Example], vectors: Vectors, embedder: Embedder) -> bytes:
    """The body for `Classifier.load`. A text may come several times, with several labels. Seconds for thousands.

    `vectors` are the texts' embeddings, shape (len(examples), 384); `embedder`, which made them, reads the labels'
    names too. Raises Invalid and FitFailed.
    """
    if len(examples) > MOST_EXAMPLES:
        raise Invalid(f"The agents have {len(examples)} examples; at most {MOST_EXAMPLES} are accepted.")
    if vectors.shape != (len(examples), DIMENSIONS):
        raise ValueError(f"{len(examples)} examples need vectors of shape ({len(examples)}, {DIMENSIONS}).")
    names = await embedder.embed([spoken(label) for label in labels_of(examples)])
    return await _run(msgspec.msgpack.encode(order_of(examples, vectors, names)))


def labels_of(examples: Sequence[Example]) -> list[str]:
    return sorted({label for _, label in examples} - {""})


def order_of(examples: Sequence[Example], vectors: Vectors, names: Vectors) -> Order:
    """`names` are the embeddings of what is `spoken` of each of `labels_of(examples)`."""
    labels: dict[str, set[str]] = {}
    places: dict[str, int] = {}
    for place, (text, label) in enumerate(examples):
        labels.setdefault(text, set()).update({label} - {""})
        places.setdefault(text, place)
    texts = sorted(labels)  # the same body whatever the order
    rows = np.ascontiguousarray(vectors[[places[text] for text in texts]], np.float32)
    spoken_rows = np.ascontiguousarray(names, np.float32)
    return Order(
        tuple(texts), tuple(tuple(sorted(labels[text])) for text in texts), rows.tobytes(), spoken_rows.tobytes()
    )


async def _run(order: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "frontdesk.supervisor.fitting",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=os.environ | ONE_THREAD,
    )  # fmt: skip
    try:
        async with asyncio.timeout(FIT_TIMEOUT_S):
            body, complaint = await process.communicate(order)
    except TimeoutError as error:
        raise FitFailed(f"The classifier could not be fitted within {FIT_TIMEOUT_S:.0f} s.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        reason = complaint.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
        raise FitFailed(f"The classifier could not be fitted: {reason[:300] or f'exit {process.returncode}'}")
    return body
