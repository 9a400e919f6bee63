"""Which agent a text is for, by a tenant's own examples: kernel ridge regression, served with NumPy alone.

Each example has a say on each agent in proportion to how alike the text and the example are: mostly by meaning (the
cosine of sentence vectors, sharpened), a little by pieces of words and by words, which carry names and misspellings.
`fit` finds the says in one step, and with them, exactly, what the classifier would answer to each example if it had
not seen it. On those answers rest the confidence and the limit beyond which a text is of nobody's matters.
"""

from collections.abc import Sequence
from io import BytesIO
from zipfile import BadZipFile

import msgspec
import numpy as np
from numpy.typing import NDArray

from frontdesk.embedding.types import Vectors
from frontdesk.supervisor.features import Floats, Likeness, pieces, words

FORMAT = 1  # of the stored bytes; grows when they, the kernel or the features change

# One set for all tenants; found on public data, see evals/README.md.
SHARPNESS = 4.0
OF_MEANING, OF_PIECES, OF_WORDS = 0.75, 0.15, 0.10
REST_SHARPNESS = 10.0  # how the probability that the best leaves over is shared by the others
SCOPE_SHARPNESS = 15.0
MOST_LABELS = 8
NEAREST = 3  # examples of the best agent whose likeness counts towards being in scope
OF_NEAREST = 0.5


class ClassifierDamaged(ValueError):
    """The stored bytes are no classifier of this version."""


class Prediction(msgspec.Struct, frozen=True):
    """Calibrated probabilities by label, best first (at most MOST_LABELS), and that the text is anybody's matter.

    `labels` are all that apply, for examples with several labels each; else the best alone.
    """

    probabilities: dict[str, float]
    in_scope: float
    labels: tuple[str, ...] = ()

    @property
    def best(self) -> str:
        return next(iter(self.probabilities))


class Calibration(msgspec.Struct, frozen=True):
    """Confidence is logistic in support and lead; below `least_support` a text is out of scope."""

    bias: float
    of_support: float
    of_lead: float
    least_support: float
    several: bool  # examples had several labels each: every label above `least_score` applies
    least_score: float

    def confidence(self, support: float, lead: float) -> float:
        return _logistic(self.bias + self.of_support * support + self.of_lead * lead)

    def in_scope(self, support: float) -> float:
        """One half at `least_support`."""
        return _logistic(SCOPE_SHARPNESS * (support - self.least_support))


class Classifier:
    """Immutable and thread-safe. About 1 ms for some hundred examples, a few for ten thousand: call it off the loop."""

    def __init__(
        self, labels: Sequence[str], vectors: Floats, belongs: NDArray[np.bool_], says: Floats,
        likeness_of_pieces: Likeness, likeness_of_words: Likeness, calibration: Calibration,
    ) -> None:  # fmt: skip
        self.labels = tuple(labels)
        self._vectors = vectors
        self._belongs = belongs
        self._says = says
        self._pieces = likeness_of_pieces
        self._words = likeness_of_words
        self.calibration = calibration

    def score(self, texts: Sequence[str], vectors: Vectors) -> list[Prediction]:
        """`vectors` are the texts', of the same embedder that made the examples'."""
        return [self._score(text, vector) for text, vector in zip(texts, vectors, strict=True)]

    def _score(self, text: str, vector: Vectors) -> Prediction:
        cosines = self._vectors @ vector
        scores = kernel(cosines, self._pieces.to(text), self._words.to(text)) @ self._says
        order = np.argsort(-scores)[:MOST_LABELS]
        best = int(order[0])
        support = support_of(float(scores[best]), cosines[self._belongs[:, best]])
        lead = float(scores[best] - scores[order[1]]) if len(order) > 1 else float(scores[best])
        calibration = self.calibration
        several = calibration.several
        return Prediction(
            self._shared(calibration.confidence(support, lead), scores, order),
            calibration.in_scope(support),
            tuple(self.labels[at] for at in np.flatnonzero(scores >= calibration.least_score))
            if several
            else (self.labels[best],),
        )

    def _shared(self, confidence: float, scores: Floats, order: NDArray[np.intp]) -> dict[str, float]:
        """The best label's confidence, and what is left over shared by the others; none gets more than the best."""
        best, others = order[0], order[1:]
        shared = {self.labels[best]: confidence}
        if len(others):
            shares = np.exp(REST_SHARPNESS * (scores[others] - scores[others[0]]))
            shares = np.minimum((1 - confidence) * shares / shares.sum(), confidence)
            shared |= {self.labels[at]: float(share) for at, share in zip(others, shares, strict=True)}
        return shared

    def pack(self) -> bytes:
        arrays: dict[str, NDArray[np.generic]] = {
            "format": np.array([FORMAT]),
            "labels": np.array(self.labels),
            "vectors": self._vectors.astype(np.float16),
            "belongs": self._belongs,
            "says": self._says.astype(np.float32),
            "calibration": np.array(msgspec.structs.astuple(self.calibration), np.float64),
            **self._pieces.arrays("pieces"),
            **self._words.arrays("words"),
        }
        packed = BytesIO()
        np.savez_compressed(packed, allow_pickle=False, **arrays)
        return packed.getvalue()

    @classmethod
    def load(cls, packed: bytes) -> "Classifier":
        """Raises ClassifierDamaged."""
        try:
            with np.load(BytesIO(packed), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            return cls._of(arrays)
        except (ValueError, KeyError, EOFError, OSError, BadZipFile) as error:
            raise ClassifierDamaged("The stored classifier can't be read.") from error

    @classmethod
    def _of(cls, arrays: dict[str, NDArray[np.generic]]) -> "Classifier":
        if int(arrays["format"][0]) != FORMAT:
            raise ValueError("a classifier of another version")
        bias, of_support, of_lead, least_support, several, least_score = arrays["calibration"].tolist()
        size = len(arrays["vectors"])
        return cls(
            arrays["labels"].tolist(),
            arrays["vectors"].astype(np.float32),
            arrays["belongs"].astype(np.bool_),
            arrays["says"].astype(np.float32),
            Likeness.from_arrays(pieces, size, "pieces", arrays),
            Likeness.from_arrays(words, size, "words", arrays),
            Calibration(bias, of_support, of_lead, least_support, bool(several), least_score),
        )


def _logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def kernel(cosines: Floats, of_pieces: Floats, of_words: Floats) -> Floats:
    """How alike, 0 to 1; of vectors or of matrices."""
    alike: Floats = OF_MEANING * np.exp(SHARPNESS * (cosines - 1)) + OF_PIECES * of_pieces + OF_WORDS * of_words
    return alike


def support_of(score: float, cosines: Floats) -> float:
    """How much stands behind a label: its score, and how near its nearest examples are."""
    count = min(NEAREST, len(cosines))
    nearest = np.partition(cosines, len(cosines) - count)[len(cosines) - count :]
    return float(score + OF_NEAREST * nearest.mean()) if count else float(score)
