"""The process that fits a classifier (`fit.py` starts it); the one place with SciPy.

`python -m frontdesk.supervisor.fitting` reads a msgpack `Lesson` from standard input and writes the packed classifier.
"""

import sys
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_solve, cholesky, lapack

from frontdesk.embedding.types import DIMENSIONS, Vectors
from frontdesk.supervisor.classifier import Calibration, Classifier, kernel, support_of
from frontdesk.supervisor.features import Floats, Likeness, pieces, words
from frontdesk.supervisor.fit import Lesson

REGULARISATION = 0.07
# More examples are thinned evenly by label: the memory of a fit grows with their square (12,000: 1.2 GiB).
MOST_EXAMPLES = 12_000

# Share of texts in scope that may be taken for out of scope, on the examples themselves, each unseen.
_REFUSED_IN_SCOPE = 0.015
_LEAST_SUPPORT = 0.20

# What the calibration starts from, worth so many examples: what public sets of all sizes had in common.
_PRIOR = np.array([-3.0, 3.0, 3.0])
_PRIOR_WORTH = 8.0


def classifier_of(texts: Sequence[str], labels: Sequence[tuple[str, ...]], vectors: Vectors) -> Classifier:
    """Raises ValueError when no example has a label. An example without a label shows what is out of scope."""
    kept = _thinned(labels)
    texts, labels, vectors = [texts[at] for at in kept], [labels[at] for at in kept], vectors[kept]
    names = sorted({label for each in labels for label in each})
    if not names:
        raise ValueError("there is no example to learn from")
    places = {name: place for place, name in enumerate(names)}
    belongs = np.zeros((len(texts), len(names)), bool)
    for row, each in enumerate(labels):
        belongs[row, [places[label] for label in each]] = True
    of_pieces, of_words = Likeness.of(pieces, texts), Likeness.of(words, texts)
    vectors = vectors.astype(np.float16).astype(np.float32)  # as they will be stored
    cosines = vectors @ vectors.T
    alike = kernel(cosines, _all_pairs(of_pieces, len(texts)), _all_pairs(of_words, len(texts)))
    says, unseen = _solved(alike, belongs.astype(np.float32))
    calibration = _calibrated(unseen, cosines, belongs)
    return Classifier(names, vectors, belongs, says, of_pieces, of_words, calibration)


def _thinned(labels: Sequence[tuple[str, ...]]) -> list[int]:
    if len(labels) <= MOST_EXAMPLES:
        return list(range(len(labels)))
    by_label: dict[tuple[str, ...], list[int]] = {}
    for at, each in enumerate(labels):
        by_label.setdefault(each, []).append(at)
    rounds = max(len(group) for group in by_label.values())
    turns = [group[turn] for turn in range(rounds) for group in by_label.values() if turn < len(group)]
    return sorted(turns[:MOST_EXAMPLES])


def _all_pairs(likeness: Likeness, size: int) -> Floats:
    starts, examples, weights = likeness.columns()
    shape = (size, len(starts) - 1)
    matrix = sparse.csc_matrix((weights, examples, starts), shape=shape).tocsr()  # type: ignore[no-untyped-call]
    pairs: Floats = (matrix @ matrix.T).toarray()
    return pairs


def _solved(alike: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    """(says, scores of each example had it not been seen): ridge regression and its leave-one-out in closed form."""
    alike[np.diag_indices(len(alike))] += REGULARISATION
    lower = cholesky(alike, lower=True, overwrite_a=True, check_finite=False)
    says = cho_solve((lower, True), wanted, check_finite=False)  # type: ignore[no-untyped-call]
    inverse, info = lapack.strtri(lower, lower=1, overwrite_c=1)  # type: ignore[attr-defined]  # made by f2py
    if info:
        raise ValueError("the examples can't be told apart")
    diagonal = np.einsum("ij,ij->j", np.tril(inverse), np.tril(inverse))
    return says.astype(np.float32), (wanted - says / diagonal[:, None]).astype(np.float32)


def _calibrated(unseen: Floats, cosines: Floats, belongs: NDArray[np.bool_]) -> Calibration:
    np.fill_diagonal(cosines, -1.0)  # no example vouches for itself
    has_label = belongs.any(1)
    best = unseen.argmax(1)
    ordered = np.sort(unseen, 1)
    lead = ordered[:, -1] - ordered[:, -2] if unseen.shape[1] > 1 else ordered[:, -1]
    support = np.array([
        support_of(float(unseen[row, best[row]]), cosines[row, belongs[:, best[row]]]) for row in range(len(unseen))
    ])  # fmt: skip
    right = belongs[np.arange(len(unseen)), best]
    of_right = support[right & has_label]
    least = float(np.quantile(of_right, _REFUSED_IN_SCOPE)) if len(of_right) else _LEAST_SUPPORT
    weights = _logistic(np.column_stack([np.ones_like(support), support, lead])[has_label], right[has_label])
    several = bool((belongs.sum(1) > 1).any())
    return Calibration(
        bias=float(weights[0]),
        of_support=float(weights[1]),
        of_lead=float(weights[2]),
        least_support=max(least, _LEAST_SUPPORT),
        several=several,
        least_score=_best_limit(unseen, belongs) if several else 0.0,
    )


def _logistic(features: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights by Newton's method, drawn towards the prior so that five examples do not make certainties."""
    weights = _PRIOR.copy()
    worth = np.eye(len(weights)) * _PRIOR_WORTH * 0.1
    for _ in range(30):
        chance = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
        slope = features.T @ (chance - right) + worth @ (weights - _PRIOR)
        bend = features.T @ (features * (chance * (1 - chance))[:, None]) + worth
        step = np.linalg.solve(bend, slope)
        weights -= np.clip(step, -2, 2)
        if float(np.abs(step).max()) < 1e-6:
            break
    return weights


def _best_limit(unseen: Floats, belongs: NDArray[np.bool_]) -> float:
    """The score from which a label applies, so that the most examples get exactly their set of labels."""
    limits = np.linspace(0.2, 0.7, 51)
    exact = [float(((unseen >= limit) == belongs).all(1).mean()) for limit in limits]
    return float(limits[int(np.argmax(exact))])


def main() -> None:
    lesson = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Lesson)
    vectors = np.frombuffer(lesson.vectors, np.float32).reshape(-1, DIMENSIONS)
    sys.stdout.buffer.write(classifier_of(lesson.texts, lesson.labels, vectors).pack())


if __name__ == "__main__":
    main()
