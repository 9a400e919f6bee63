"""The intent classifier as it serves: numpy alone, a few milliseconds a message, calibrated probabilities.

A kernel machine: a text is compared with every example by meaning, and the likeness is weighed into one score by
label; to which what it is spelt with adds. `fitting` finds the weights; serving needs this module and `spelling`.
"""

import zlib
from collections.abc import Sequence
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from frontdesk.embedding import DIMENSIONS, Vectors
from frontdesk.supervisor.spelling import Floats, Grams, Spelling, grams_of

FORMAT = 4
BEST, NEAREST = 5, 5
COMPARED = 3  # nearest examples, in closeness
SCOPE_SLOPE = 9.0
DOUBT = 0.02  # of any label: even what is perfectly clear to the classifier is sometimes meant otherwise
AT_LEAST = 0.02  # of `independent`: what is less likely is left out
MOST_BYTES = 64 * 2**20  # unpacked
_BLOCK = 256  # rows

Probabilities = NDArray[np.floating]

_Number = TypeVar("_Number", bound=np.generic)


class ClassifierDamaged(ValueError):
    """These bytes are no classifier, or one of another version: fit it anew."""


class Scored(msgspec.Struct, frozen=True):
    probabilities: dict[str, float]  # calibrated, by label, best first, at most the 5 best; for one intent of a text
    in_scope: float  # calibrated probability that any label is right
    nearest: tuple[tuple[str, str, float], ...]  # (example, label, cosine), best first, at most 5: for explanations
    independent: dict[str, float] = {}  # calibrated, each for itself, best first: for several intents of one text


class Calibration(msgspec.Struct, frozen=True):
    """From scores to probabilities."""

    one: float  # softmax(one * scores), less DOUBT
    several: tuple[float, float]  # sigmoid(a * score + b)
    scope: float  # the closeness that is as likely out of scope as in it


class Body(msgspec.Struct, frozen=True, array_like=True):
    """What is stored. Arrays are little-endian bytes; vectors and weights are rounded to 8 and 16 bits."""

    format: int
    labels: tuple[str, ...]
    examples: tuple[str, ...]  # learnt from
    example_labels: tuple[int, ...]  # the first label of each; -1 for an example of none
    calibration: Calibration
    sharpness: float  # of likeness in meaning
    vectors: bytes  # int8 (examples and then labels, 384): a label's name is an example of it that is never shown
    weights: bytes  # float16 (examples and labels, labels)
    hashes: bytes  # uint32, sorted
    idf: bytes  # float16
    spelt: bytes  # float16 (hashes, labels): what an n-gram adds to each score

    def packed(self) -> bytes:
        return zlib.compress(msgspec.msgpack.encode(self), 6)


class Classifier:
    def __init__(self, body: Body) -> None:
        self.labels = body.labels
        self._examples = body.examples
        self._example_labels = body.example_labels
        self._calibration = body.calibration
        self._sharpness = body.sharpness
        places, size = len(body.examples), len(body.labels)
        if len(body.example_labels) != places or not all(-1 <= label < size for label in body.example_labels):
            raise ClassifierDamaged("The stored classifier is damaged: its examples and labels do not match.")
        rows = places + size
        # As narrow as stored: of a tenant with some dozen examples they are most of what it takes in memory.
        self._vectors = _array(body.vectors, np.int8, rows * DIMENSIONS).reshape(rows, DIMENSIONS)
        self._lengths = np.concatenate([_lengths(block) for block in _blocks(self._vectors)])
        self._weights = _array(body.weights, np.float16, rows * size).reshape(rows, size).astype(np.float32)
        hashes = _array(body.hashes, np.uint32)
        self._spelling = Spelling(hashes, _array(body.idf, np.float16, len(hashes)).astype(np.float32))
        # As narrow as stored: a text has some hundred of tens of thousands.
        self._spelt = _array(body.spelt, np.float16, len(hashes) * size).reshape(len(hashes), size)
        # Whom an example of no label resembles is no nearer to what the labels are for.
        self._labelled = np.flatnonzero(np.array(body.example_labels, np.int64) >= 0)
        arrays = (self._vectors, self._lengths, self._weights, self._spelt, hashes, self._spelling.idf)
        self.size = sum(array.nbytes for array in arrays)  # about

    @classmethod
    def load(cls, body: bytes) -> "Classifier":
        """From `fit`'s bytes. Raises ClassifierDamaged."""
        try:
            unpacker = zlib.decompressobj()
            packed = unpacker.decompress(body, MOST_BYTES)
            if not unpacker.eof:
                raise ClassifierDamaged("The stored classifier is damaged: it is cut off or too large.")
            decoded = msgspec.msgpack.decode(packed, type=Body)
        except (zlib.error, msgspec.MsgspecError) as error:
            raise ClassifierDamaged("The stored classifier is damaged: it can't be read.") from error
        if decoded.format != FORMAT:
            raise ClassifierDamaged(f"The stored classifier is of format {decoded.format}, not {FORMAT}: fit it anew.")
        return cls(decoded)

    def score(self, texts: Sequence[str], vectors: Vectors) -> list[Scored]:
        """One result for each text, in order; `vectors` are the texts' embeddings, shape (len(texts), 384).

        CPU work, some 1 to 5 ms a text: callers with many texts use a thread.
        """
        if not self._examples:
            return [Scored({}, 0.0, ()) for _ in texts]
        cosines = self._cosines(vectors)
        scores = likeness(cosines, self._sharpness) @ self._weights
        for row, text in enumerate(grams_of(texts)):
            scores[row] += self._by_spelling(text)
        shown = len(self._examples)
        return [self._scored(scores[row], cosines[row, :shown]) for row in range(len(texts))]

    def _cosines(self, vectors: Vectors) -> Floats:
        """To each example and label, shape (texts, examples and labels)."""
        compared = [vectors @ block.astype(np.float32).T for block in _blocks(self._vectors)]
        cosines: Floats = np.concatenate(compared, axis=1) / self._lengths
        return cosines

    def _by_spelling(self, text: Grams) -> Floats:
        places, shares = self._spelling.vector(text)
        scores: Floats = shares @ self._spelt[places].astype(np.float32)
        return scores

    def _scored(self, scores: Floats, cosines: Floats) -> Scored:
        places = _largest(cosines, NEAREST)
        nearest = tuple(
            (self._examples[place], self._label(self._example_labels[place]), round(float(cosines[place]), 4))
            for place in places
        )
        if not self.labels:
            return Scored({}, 0.0, nearest)
        one = self._calibration.one * (scores - scores.max())
        shares = doubted(np.exp(one) / np.exp(one).sum())
        several = sigmoid(self._calibration.several[0] * scores + self._calibration.several[1])
        beyond = closeness(scores[None], cosines[None, self._labelled]) - self._calibration.scope
        likely = [place for place in _largest(several, len(several)) if several[place] >= AT_LEAST]
        return Scored(
            probabilities={self.labels[place]: float(shares[place]) for place in _largest(shares, BEST)},
            in_scope=float(sigmoid(SCOPE_SLOPE * beyond)[0]),
            nearest=nearest,
            independent={self.labels[place]: float(several[place]) for place in likely},
        )

    def _label(self, place: int) -> str:
        return self.labels[place] if place >= 0 else ""


def doubted(shares: Probabilities) -> Probabilities:
    """Of labels (the last axis), summing to one."""
    less: Probabilities = (1 - DOUBT) * shares + DOUBT / shares.shape[-1]
    return less


def lengthened(rounded: NDArray[np.int8]) -> Vectors:
    """Of length one again."""
    return rounded.astype(np.float32) / _lengths(rounded)[:, None]


def likeness(cosines: Floats, sharpness: float) -> Floats:
    """In meaning: 1 for the same, falling with distance."""
    alike: Floats = np.exp(sharpness * (cosines - 1))
    return alike


def closeness(scores: Floats, cosines: Floats) -> Floats:
    """How near each text is to what the labels are for: its best score and its mean cosine to the nearest examples."""
    count = min(COMPARED, cosines.shape[1])
    near = -np.partition(-cosines, count - 1, axis=1)[:, :count].mean(axis=1)
    close: Floats = scores.max(axis=1) + near
    return close


def sigmoid(values: NDArray[np.floating]) -> NDArray[np.float64]:
    clipped = np.clip(values, -40, 40)
    result: NDArray[np.float64] = 1 / (1 + np.exp(-np.asarray(clipped, np.float64)))
    return result


def _blocks(rows: NDArray[np.int8]) -> list[NDArray[np.int8]]:
    """Of so few rows that they stay in the processor's cache while they are widened."""
    return [rows[start : start + _BLOCK] for start in range(0, max(len(rows), 1), _BLOCK)]


def _lengths(rows: NDArray[np.int8]) -> Floats:
    lengths: Floats = np.maximum(np.linalg.norm(rows.astype(np.float32), axis=1), 1e-9)
    return lengths


def _largest(values: NDArray[np.floating], count: int) -> list[int]:
    """Places of the `count` largest, the largest first."""
    count = min(count, len(values))
    places = np.argpartition(-values, count - 1)[:count] if count < len(values) else np.arange(len(values))
    return [int(place) for place in places[np.argsort(-values[places], kind="stable")]]


def _array(packed: bytes, kind: type[_Number], length: int | None = None) -> NDArray[_Number]:
    if len(packed) % np.dtype(kind).itemsize or (
        length is not None and len(packed) != length * np.dtype(kind).itemsize
    ):
        raise ClassifierDamaged("The stored classifier is damaged: a part of it has the wrong length.")
    return np.frombuffer(packed, kind)
