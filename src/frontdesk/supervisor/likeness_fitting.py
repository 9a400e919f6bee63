"""`python -m frontdesk.supervisor.likeness_fitting`: the phrases in, `likeness.bin` out, in half a minute of one core.

Logistic regression. The server never imports this: scipy stays out of it.
"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import scipy.optimize
import scipy.sparse
from numpy.typing import NDArray

from frontdesk.supervisor import phrases
from frontdesk.supervisor.likeness import FILE, FORMAT, PLACES, Body, features
from frontdesk.supervisor.words import asks, tokens

LOOSENESS = 2.0  # of the weights: the inverse of the ridge's strength
MOST_STEPS = 80
Floats = NDArray[np.float64]


def fit(texts: Sequence[phrases.Text], fingerprint: str) -> Body:
    """The model of `texts`; emergencies and the rest count the same, however many there are of either."""
    rows = _rows([features(tokens(text.text), is_question=asks(text.text)) for text in texts])
    label = np.array([1.0 if text.is_emergency else -1.0 for text in texts])
    weight = np.where(label > 0, np.mean(label < 0) / np.mean(label > 0), 1.0)

    def loss(of: Floats) -> tuple[float, Floats]:
        margin = label * (rows @ of[:-1] + of[-1])
        slope = -label * weight / (1 + np.exp(margin))
        value = LOOSENESS * (np.logaddexp(0, -margin) @ weight) + of[:-1] @ of[:-1] / 2
        return value, np.append(LOOSENESS * (rows.T @ slope) + of[:-1], LOOSENESS * slope.sum())

    found = scipy.optimize.minimize(
        loss, np.zeros(PLACES + 1), jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS}
    )
    weights, bias = found.x[:-1], float(found.x[-1])
    step = float(np.abs(weights).max() / 127)
    return Body(FORMAT, fingerprint, bias, step, np.rint(weights / step).astype(np.int8).tobytes())


def fingerprint(folder: Path = phrases.FOLDER) -> str:
    """Of the phrases as they are: a test compares it with what the stored model was learnt from."""
    content = [(path.name, path.read_bytes()) for path in sorted(folder.glob("*.txt"))]
    return hashlib.sha256(msgspec.msgpack.encode((FORMAT, content))).hexdigest()


def _rows(found: Sequence[Sequence[int]]) -> scipy.sparse.csr_matrix:
    lengths = np.array([len(places) for places in found])
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    return scipy.sparse.csr_matrix(
        (values, np.concatenate([*map(np.array, found)]).astype(np.int64), ends), (len(found), PLACES)
    )


if __name__ == "__main__":
    body = fit(phrases.texts(), fingerprint())
    FILE.write_bytes(msgspec.msgpack.encode(body))
    sys.stdout.write(f"{FILE.name}: {len(body.weights)} weights, bias {body.bias:.2f}\n")
