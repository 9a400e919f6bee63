"""`python -m frontdesk.supervisor.fitting`: examples in, a classifier out; a process of its own, for scipy stays out
of the server.

Kernel ridge regression on landmarks (Nystroem): one linear system gives the weights of all labels, and, in closed
form, what each example would score had it, or its whole label, been left out. So calibration needs no second fit.
"""

import os
import sys
from collections.abc import Sequence

import msgspec
import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from frontdesk.embedding import DIMENSIONS, Vectors
from frontdesk.supervisor.classifier import FORMAT, Body, Calibration, closeness, sigmoid
from frontdesk.supervisor.fit import Order
from frontdesk.supervisor.landmarks import Floats, Grams, Landmarks, grams_of, index

MOST_LANDMARKS = 3072
RIDGE = 0.15
# Of likeness. Labels that exclude one another are told apart by the nearest examples; labels that combine in one text
# by what each adds to it: examples whose labels combine otherwise are further, and have to count.
SHARP, FLAT = 2.5, 1.0
# Keeps the landmarks' kernel invertible when examples are nearly the same.
JITTER = 1e-3
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
STRANGERS_BELOW = 0.9
SIBLINGS_COUNT = 50  # strangers


def fitted(order: Order) -> Body:
    if not order.texts:
        return Body(
            FORMAT, (), (), (), Calibration(PRIOR_ONE, PRIOR_SEVERAL, DIVIDE * PRIOR_SIBLING), SHARP, *[b""] * 7
        )
    labels = tuple(sorted({label for several in order.labels for label in several}))
    vectors = np.frombuffer(order.vectors, np.float32).reshape(len(order.texts), DIMENSIONS)
    targets = np.zeros((len(order.texts), len(labels)), np.float32)
    for row, several in enumerate(order.labels):
        targets[row, [labels.index(label) for label in several]] = 1
    first = np.where(targets.any(axis=1), targets.argmax(axis=1), -1) if labels else np.full(len(vectors), -1)

    chosen = _spread(first)
    grams = grams_of(order.texts)
    rounded = _rounded(vectors[chosen])
    parts = index([grams[place] for place in chosen], grams, RARE if len(grams) >= MANY else 1)
    sharpness = FLAT if any(len(several) > 1 for several in order.labels) else SHARP
    landmarks = Landmarks(_lengthened(rounded), sharpness, *parts)

    machine = _Machine(landmarks, chosen, grams, vectors, targets)
    hashes, idf, starts, rows, counts = parts
    return Body(
        format=FORMAT,
        labels=labels,
        examples=tuple(order.texts[place] for place in chosen),
        example_labels=tuple(int(first[place]) for place in chosen),
        calibration=_calibration(machine, vectors, targets, first),
        sharpness=sharpness,
        vectors=rounded.tobytes(),
        weights=machine.weights.astype(np.float16).tobytes(),
        hashes=hashes.tobytes(),
        idf=idf.astype(np.float16).tobytes(),
        sizes=np.diff(starts).astype(np.uint16).tobytes(),
        rows=rows.tobytes(),
        counts=counts.tobytes(),
    )


class _Machine:
    """Ridge regression in the space that the landmarks span.

    With K the examples' likeness to the landmarks and LL' the landmarks' own, features = K L'^-1, and weights
    = L'^-1 (features' features + ridge)^-1 features' targets. The hat matrix H = `hats` hats' gives what is left out:
    the residual of a block B, when B was not learnt from, is (1 - H_BB)^-1 times the residual when it was.
    """

    def __init__(
        self, landmarks: Landmarks, chosen: NDArray[np.int64], grams: Sequence[Grams], vectors: Vectors, targets: Floats
    ) -> None:
        likeness = np.empty((len(vectors), len(landmarks)), np.float32)
        for start in range(0, len(vectors), SLICE):
            part = slice(start, start + SLICE)
            likeness[part] = landmarks.likeness(grams[part], landmarks.cosines(vectors[part]))
        own = likeness[chosen]
        own = (own + own.T) / 2 + JITTER * np.eye(len(own), dtype=np.float32)
        lower = scipy.linalg.cholesky(own, lower=True, overwrite_a=True)
        features = scipy.linalg.solve_triangular(lower, likeness.T, lower=True, overwrite_b=True).T
        gram = features.T @ features + RIDGE * np.eye(len(landmarks), dtype=np.float32)
        upper = scipy.linalg.cholesky(gram, overwrite_a=True)
        spanned: Floats = scipy.linalg.cho_solve((upper, False), features.T @ targets)
        self.weights: Floats = scipy.linalg.solve_triangular(lower, spanned, lower=True, trans="T")
        self._residuals: Floats = targets - features @ spanned
        self._targets = targets
        self._hats: Floats = scipy.linalg.solve_triangular(upper, features.T, trans="T", overwrite_b=True).T

    def left_out(self, block: NDArray[np.int64]) -> Floats:
        """The scores of the examples of `block`, had none of them been learnt from."""
        hats = self._hats[block]
        remaining = np.eye(len(block), dtype=np.float32) - hats @ hats.T
        missing: Floats = np.linalg.solve(remaining, self._residuals[block])
        return self._targets[block] - missing

    def each_left_out(self) -> Floats:
        """The scores of every example, had it alone not been learnt from."""
        leverages = np.einsum("ij,ij->i", self._hats, self._hats)
        scores: Floats = self._targets - self._residuals / np.maximum(1 - leverages, 1e-3)[:, None]
        return scores


def _calibration(machine: _Machine, vectors: Vectors, targets: Floats, first: NDArray[np.int64]) -> Calibration:
    """Maximum a posteriori on left-out scores, around what suits the public sets."""
    scores = machine.each_left_out()
    sizes = targets.sum(axis=0)
    # An example that is alone in its label tells nothing of its label's score.
    told = (first >= 0) & (sizes[np.maximum(first, 0)] >= 2) if len(sizes) else np.zeros(len(first), bool)
    return Calibration(
        one=_sharpness(scores[told], targets[told]),
        several=_sloped(scores[told | (first < 0)], targets[told | (first < 0)]),
        scope=_boundary(machine, vectors, scores, first),
    )


def _sharpness(scores: Floats, targets: Floats) -> float:
    """Of the softmax: the likeliest by golden section, in logarithms, with PRIOR_ONE counting as some examples."""

    def unlikely(log_sharpness: float) -> float:
        sharpened = np.exp(log_sharpness) * (scores - scores.max(axis=1, keepdims=True)).astype(np.float64)
        shares = np.exp(sharpened) / np.exp(sharpened).sum(axis=1, keepdims=True)
        right = (shares * targets).sum(axis=1) / np.maximum(targets.sum(axis=1), 1)
        strangeness = (log_sharpness - np.log(PRIOR_ONE)) ** 2
        return float(PRIOR_EXAMPLES * strangeness - np.log(np.maximum(right, 1e-9)).sum())

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


def _boundary(machine: _Machine, vectors: Vectors, scores: Floats, first: NDArray[np.int64]) -> float:
    """How close to the examples a text is that is as likely out of scope as in it."""
    labels = np.unique(first[first >= 0])
    labelled = vectors[first >= 0]
    siblings = []
    for label in labels if len(labels) > 1 else ():
        block = np.flatnonzero(first == label)
        others, cosines = machine.left_out(block), vectors[block] @ labelled.T
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
    """Which examples are landmarks: all, or as many of each label, in a fixed random order."""
    if len(first) <= MOST_LANDMARKS:
        return np.arange(len(first))
    order = np.random.default_rng(0).permutation(len(first))
    # The how-manieth of its label each one is.
    turn = np.empty(len(first), np.int64)
    for label in np.unique(first):
        places = order[first[order] == label]
        turn[places] = np.arange(len(places))
    return np.sort(order[np.argsort(turn[order], kind="stable")][:MOST_LANDMARKS])


def _rounded(vectors: Vectors) -> NDArray[np.int8]:
    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-9) if len(vectors) else 1.0
    return np.round(vectors / largest * 127).astype(np.int8)


def _lengthened(rounded: NDArray[np.int8]) -> Vectors:
    """As the classifier will have them."""
    vectors = rounded.astype(np.float32)
    lengthened: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return lengthened


def main() -> None:
    os.nice(SERVING_FIRST)
    order = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(fitted(order).packed())


if __name__ == "__main__":
    main()
