"""`python -m frontdesk.supervisor.fitting`: examples in, a classifier out; a process of its own, for scipy stays out
of the server.

Kernel ridge regression: one linear system gives the weights of all labels, and, in closed form, what each example would
score had it, or its whole label, been left out. So calibration needs no second fit. What a label is called is an
example of it, too: it says what the label is for in other words.
"""

import os
import sys
from collections.abc import Sequence

import msgspec
import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

from frontdesk.embedding import DIMENSIONS, Vectors
from frontdesk.supervisor.classifier import (
    FORMAT,
    Body,
    Calibration,
    closeness,
    doubted,
    lengthened,
    likeness,
    sigmoid,
)
from frontdesk.supervisor.fit import Order, spoken
from frontdesk.supervisor.spelling import Floats, Grams, Spelling, grams_of, spelling_of

MOST_LEARNT = 10_000  # bounds the fit: its matrix takes 400 MB then
MOST_CELLS = 4_000_000  # of n-grams by labels
RIDGE = 0.1
SPELLING = 0.2  # beside meaning
# Of likeness. Labels that exclude one another are told apart by the nearest examples; labels that combine in one text
# by what each adds to it: examples whose labels combine otherwise are further, and have to count.
SHARP, FLAT = 2.5, 0.4
# N-grams of one example alone say nothing of others; with few examples they are all there is.
MANY, RARE = 1_000, 2
SLICE = 512
SERVING_FIRST = 10  # niceness

# What the calibration is without examples, from the public sets; the examples' own evidence moves it.
PRIOR_ONE = 10.0
PRIOR_SEVERAL = (12.0, -5.0)
PRIOR_SIBLING = 0.65
PRIOR_STRENGTH = 1.0
PRIOR_EXAMPLES = 10  # that PRIOR_ONE and PRIOR_SIBLING count for

# An example left out with its whole label is still about the tenant's business, so it is a little nearer than what is
# out of scope. This share of its closeness divides best, and the same on CLINC150 with 5, 10, 30 and 100 examples a
# label: eight to nine in ten of what is out of scope fall below, one or two in a hundred of what was right.
DIVIDE = 0.8
# Examples of no label tell where the boundary is themselves: so many of them fall below it.
STRANGERS_BELOW = 0.95
SIBLINGS_COUNT = 50  # strangers


def fitted(order: Order) -> Body:
    """Raises ValueError when a vector is no vector."""
    if not order.texts:
        return Body(
            FORMAT, (), (), (), Calibration(PRIOR_ONE, PRIOR_SEVERAL, DIVIDE * PRIOR_SIBLING), SHARP, *[b""] * 5
        )
    labels = tuple(sorted({label for several in order.labels for label in several}))
    vectors = np.frombuffer(order.vectors, np.float32).reshape(len(order.texts), DIMENSIONS)
    names = np.frombuffer(order.spoken, np.float32).reshape(len(labels), DIMENSIONS)
    if not (np.isfinite(vectors).all() and np.isfinite(names).all()):
        raise ValueError("the vectors of the examples are no numbers")
    targets = np.zeros((len(order.texts), len(labels)), np.float32)
    for row, several in enumerate(order.labels):
        targets[row, [labels.index(label) for label in several]] = 1
    first = np.where(targets.any(axis=1), targets.argmax(axis=1), -1) if labels else np.full(len(vectors), -1)

    grams = grams_of(order.texts)
    spelling = spelling_of(grams, RARE if len(grams) >= MANY else 1, MOST_CELLS // max(len(labels), 1))
    spelling.idf = spelling.idf.astype(np.float16).astype(np.float32)  # as the classifier will have it
    chosen = _spread(first)
    # The labels' names come last, as examples.
    rounded = _rounded(np.concatenate([vectors[chosen], names]))
    first, targets = first[chosen], np.concatenate([targets[chosen], np.eye(len(labels), dtype=np.float32)])
    spellings = [grams[place] for place in chosen] + grams_of([spoken(label) for label in labels])
    sharpness = FLAT if (targets.sum(axis=1) > 1).any() else SHARP
    machine = _Machine(lengthened(rounded), spellings, spelling, sharpness, targets)
    return Body(
        format=FORMAT,
        labels=labels,
        examples=tuple(order.texts[place] for place in chosen),
        example_labels=tuple(int(label) for label in first),
        calibration=_calibration(machine, first),
        sharpness=sharpness,
        vectors=rounded.tobytes(),
        weights=machine.weights.astype(np.float16).tobytes(),
        hashes=spelling.hashes.tobytes(),
        idf=spelling.idf.astype(np.float16).tobytes(),
        spelt=machine.spelt.astype(np.float16).tobytes(),
    )


class _Machine:
    """Ridge regression in the space of a kernel: likeness in meaning, and SPELLING times the cosine of spelling.

    With K the examples' kernel and A = K + ridge, the weights are A^-1 targets. What is left out is in A^-1 too: the
    residual of a block B, when B was not learnt from, is (A^-1_BB)^-1 times its weights. (Rasmussen and Williams,
    Gaussian Processes for Machine Learning, 5.4.2.)
    """

    def __init__(
        self, vectors: Vectors, grams: Sequence[Grams], spelling: Spelling, sharpness: float, targets: Floats
    ) -> None:
        self.vectors, self.targets = vectors, targets
        spelt = _matrix(grams, spelling)
        # Column by column, as LAPACK wants it: all that follows happens in its place.
        kernel = np.empty((len(vectors), len(vectors)), np.float32, order="F")
        for start in range(0, len(vectors), SLICE):
            part = slice(start, start + SLICE)
            kernel[:, part] = likeness(vectors @ vectors[part].T, sharpness)
            kernel[:, part] += SPELLING * (spelt @ spelt[part].T).toarray()
        kernel[np.diag_indices(len(vectors))] += RIDGE
        lower = scipy.linalg.cholesky(kernel, lower=True, overwrite_a=True, check_finite=False)
        self.weights: Floats = scipy.linalg.cho_solve((lower, True), targets, check_finite=False)
        self.spelt: Floats = SPELLING * (spelt.T @ self.weights)
        invert = scipy.linalg.get_lapack_funcs("potri", (lower,))
        self._inverse: Floats
        self._inverse, failed = invert(lower, lower=True, overwrite_c=True)  # the lower half of it
        if failed:
            raise ValueError("the examples' kernel has no inverse")

    def left_out(self, block: NDArray[np.int64]) -> Floats:
        """The scores of the examples of `block` (ascending), had none of them been learnt from."""
        lower = self._inverse[np.ix_(block, block)]
        inverse = np.tril(lower) + np.tril(lower, -1).T
        scores: Floats = self.targets[block] - np.linalg.solve(inverse, self.weights[block])
        return scores

    def each_left_out(self) -> Floats:
        """The scores of every example, had it alone not been learnt from."""
        scores: Floats = self.targets - self.weights / np.diag(self._inverse)[:, None]
        return scores


def _matrix(grams: Sequence[Grams], spelling: Spelling) -> scipy.sparse.csr_array:
    """The examples' spelling; shape (examples, n-grams)."""
    rows = [spelling.vector(text) for text in grams]
    ends = np.cumsum([0] + [len(places) for places, _ in rows])
    shares = np.concatenate([shares for _, shares in rows])
    return scipy.sparse.csr_array(
        (shares, np.concatenate([places for places, _ in rows]), ends), (len(rows), len(spelling))
    )


def _calibration(machine: _Machine, first: NDArray[np.int64]) -> Calibration:
    """Maximum a posteriori on left-out scores of the examples (not of the names), around what suits the public sets."""
    scores, targets = machine.each_left_out()[: len(first)], machine.targets[: len(first)]
    sizes = targets.sum(axis=0)
    # An example that is alone in its label tells nothing of its label's score.
    told = (first >= 0) & (sizes[np.maximum(first, 0)] >= 2) if len(sizes) else np.zeros(len(first), bool)
    return Calibration(
        one=_sharpness(scores[told], targets[told]),
        several=_sloped(scores[told | (first < 0)], targets[told | (first < 0)]),
        scope=_boundary(machine, scores, first),
    )


def _sharpness(scores: Floats, targets: Floats) -> float:
    """Of the softmax: the likeliest by golden section, in logarithms, with PRIOR_ONE counting as some examples.

    As served, with its DOUBT: or a single mislabelled example would make all others less sure.
    """

    def unlikely(log_sharpness: float) -> float:
        sharpened = np.exp(log_sharpness) * (scores - scores.max(axis=1, keepdims=True)).astype(np.float64)
        shares = doubted(np.exp(sharpened) / np.exp(sharpened).sum(axis=1, keepdims=True))
        right = (shares * targets).sum(axis=1) / np.maximum(targets.sum(axis=1), 1)
        strangeness = (log_sharpness - np.log(PRIOR_ONE)) ** 2
        return float(PRIOR_EXAMPLES * strangeness - np.log(right).sum())

    if not len(scores):
        return PRIOR_ONE
    low, high = np.log(0.5), np.log(100.0)
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        step = ratio * (high - low)
        if unlikely(high - step) < unlikely(low + step):
            high = low + step
        else:
            low = high - step
    return float(np.exp((low + high) / 2))


def _sloped(scores: Floats, targets: Floats) -> tuple[float, float]:
    features = np.stack([scores.ravel(), np.ones(scores.size)], axis=1)
    slope, constant = _logistic(features, targets.ravel(), PRIOR_SEVERAL)
    return float(slope), float(constant)


def _boundary(machine: _Machine, scores: Floats, first: NDArray[np.int64]) -> float:
    """How close to the examples a text is that is as likely out of scope as in it."""
    vectors = machine.vectors[: len(first)]
    labels = np.unique(first[first >= 0])
    labelled = vectors[first >= 0]
    siblings = []
    for label in labels if len(labels) > 1 else ():
        block = np.flatnonzero(first == label)
        others, cosines = machine.left_out(np.append(block, len(first) + label))[:-1], vectors[block] @ labelled.T
        others[:, label] = 0
        cosines[:, first[first >= 0] == label] = -1
        siblings.append(closeness(others, cosines))
    count = sum(len(some) for some in siblings)
    median = float(np.median(np.concatenate(siblings))) if count else 0.0
    boundary = DIVIDE * (count * median + PRIOR_EXAMPLES * PRIOR_SIBLING) / (count + PRIOR_EXAMPLES)
    strangers = np.flatnonzero(first < 0)
    if not len(strangers) or not len(labelled):
        return boundary
    close = closeness(scores[strangers], vectors[strangers] @ labelled.T)
    told = float(np.quantile(close, STRANGERS_BELOW))
    return (SIBLINGS_COUNT * boundary + len(strangers) * told) / (SIBLINGS_COUNT + len(strangers))


def _logistic(features: NDArray[np.float64], answers: Floats, prior: tuple[float, ...]) -> NDArray[np.float64]:
    """Newton's method for logistic regression with a normal prior around `prior`."""
    found = np.array(prior)
    for _ in range(30):
        chances = sigmoid(features @ found)
        slopes = features.T @ (chances - answers) + PRIOR_STRENGTH * (found - prior)
        curve = (features.T * (chances * (1 - chances))) @ features + PRIOR_STRENGTH * np.eye(len(prior))
        step = np.linalg.solve(curve, slopes)
        found = found - step * min(1.0, 5.0 / float(np.abs(step).max() + 1e-12))
        if float(np.abs(step).max()) < 1e-6:
            break
    return found


def _spread(first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which examples are learnt from: all, or as many of each label, in a fixed random order."""
    if len(first) <= MOST_LEARNT:
        return np.arange(len(first))
    order = np.random.default_rng(0).permutation(len(first))
    # The how-manieth of its label each one is.
    turn = np.empty(len(first), np.int64)
    for label in np.unique(first):
        places = order[first[order] == label]
        turn[places] = np.arange(len(places))
    return np.sort(order[np.argsort(turn[order], kind="stable")][:MOST_LEARNT])


def _rounded(vectors: Vectors) -> NDArray[np.int8]:
    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-9) if len(vectors) else 1.0
    return np.round(vectors / largest * 127).astype(np.int8)


def main() -> None:
    os.nice(SERVING_FIRST)
    order = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(fitted(order).packed())


if __name__ == "__main__":
    main()
