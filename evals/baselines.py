"""What the classifier is measured beside, on the same embeddings: the nearest example, and a linear SVM."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.svm import LinearSVC

from frontdesk.embedding import Vectors

Labels = tuple[str, ...]
Texts = Sequence[str]


def nearest(learnt: Vectors, labels: Sequence[Labels], measured: Vectors) -> list[set[str]]:
    """The labels of the example with the highest cosine."""
    return [set(labels[place]) for place in (measured @ learnt.T).argmax(axis=1)]


def linear_svm(
    learnt: tuple[Texts, Vectors], labels: Sequence[Labels], measured: tuple[Texts, Vectors], *, several: bool
) -> list[set[str]]:
    """Embeddings joined with TF-IDF of words and of 2 to 5 characters. `several`: each label decided for itself."""
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), dtype=np.float32)
    characters = TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5), min_df=2, dtype=np.float32)
    seen = scipy.sparse.hstack([learnt[1], words.fit_transform(learnt[0]), characters.fit_transform(learnt[0])], "csr")
    asked = scipy.sparse.hstack([measured[1], words.transform(measured[0]), characters.transform(measured[0])], "csr")
    if several:
        coder = MultiLabelBinarizer()
        machine = OneVsRestClassifier(LinearSVC()).fit(seen, coder.fit_transform(labels))
        return [set(each) for each in coder.inverse_transform(machine.predict(asked))]
    return [{each} for each in LinearSVC().fit(seen, [label for (label,) in labels]).predict(asked)]
