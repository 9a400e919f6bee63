"""all-MiniLM-L6-v2 on CTranslate2: mean pooling, L2, one slice at a time off the event loop."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cachetools import LRUCache
from ctranslate2 import Encoder  # type: ignore[attr-defined]  # untyped: of the compiled extension
from tokenizers import Tokenizer

from frontdesk.embedding.types import DIMENSIONS, Vectors
from frontdesk.embedding.weights import MODEL, TOKENIZER, ModelUnavailable, find_weights, fingerprint

MAX_TOKENS = 256  # what the model was trained for
MAX_CHARACTERS = 100_000  # of one text; far above what 256 tokens can be
QUANTIZATION = "int8"
FORMAT = 1  # of the converted folder; grows when `convert` changes

CONVERT_TIMEOUT_S = 300.0

# A slice is what runs before the next caller's texts get their turn, and what bounds the activations' memory.
SLICE_TEXTS, SLICE_TOKENS = 32, 2048

# Messages, examples and questions come again; passages (longer) would only push them out. 3 MiB of vectors.
CACHED_TEXTS, CACHED_LENGTH = 2048, 300


class _Job:
    """One caller's slice; `vectors` is filled by whichever caller's turn ran it."""

    __slots__ = ("texts", "vectors")

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.vectors: Vectors | None = None


class MiniLM:
    """Callers that arrive while the model is busy are joined into its next run; one run at a time."""

    def __init__(self, folder: Path, name: str, *, threads: int) -> None:
        self.name = name
        self._encoder = Encoder(str(folder), device="cpu", inter_threads=1, intra_threads=threads)
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._turn = asyncio.Lock()
        self._waiting: list[_Job] = []
        self._recent: LRUCache[str, Vectors] = LRUCache(CACHED_TEXTS)

    @classmethod
    def load(
        cls, cache: Path, weights: Path | None = None, *, quantization: str | None = QUANTIZATION, threads: int = 1
    ) -> "MiniLM":
        """Blocks: some 60 ms, and once 1 to 2 s more to convert the weights into `cache`. Raises ModelUnavailable.

        One thread is as fast as two for a sentence, and leaves the other core to the rest of the server.
        """
        source = find_weights(weights)
        name = f"{MODEL}/{quantization or 'float32'}/{fingerprint(source)}"
        folder = cache / f"{name.replace('/', '-')}-{FORMAT}"
        if not folder.is_dir():
            _convert(source, folder, quantization)
        return cls(folder, name, threads=threads)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        known: dict[str, Vectors] = {}
        for text in texts:
            recent = self._recent.get(text)
            if recent is not None:
                known[text] = recent
        unknown = list({text: None for text in texts if text not in known})
        for start in range(0, len(unknown), SLICE_TEXTS):
            part = unknown[start : start + SLICE_TEXTS]
            for text, vector in zip(part, await self._embed_slice(part), strict=True):
                known[text] = vector
                if len(text) <= CACHED_LENGTH:
                    self._recent[text] = vector.copy()  # a row alone: a view would keep its whole slice alive
        if not texts:
            return np.empty((0, DIMENSIONS), np.float32)
        return np.stack([known[text] for text in texts])

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(_clean(text), add_special_tokens=False).ids)

    async def _embed_slice(self, texts: list[str]) -> Vectors:
        job = _Job(texts)
        self._waiting.append(job)
        try:
            async with self._turn:
                # Done already when the caller before took it along.
                if job.vectors is None:
                    await self._run(_together(job, self._waiting))
        finally:
            self._waiting.remove(job)
        assert job.vectors is not None  # set by the run above, or by another's
        return job.vectors

    async def _run(self, jobs: list[_Job]) -> None:
        vectors = await asyncio.to_thread(self._forward, [text for job in jobs for text in job.texts])
        start = 0
        for job in jobs:
            job.vectors = vectors[start : start + len(job.texts)]
            start += len(job.texts)

    def _forward(self, texts: list[str]) -> Vectors:
        """In a thread; CTranslate2 and the tokenizer release the GIL."""
        ids = [_cut(encoding.ids) for encoding in self._tokenizer.encode_batch([_clean(text) for text in texts])]
        vectors = np.empty((len(ids), DIMENSIONS), np.float32)
        # By length, so that short texts are not padded to the longest one.
        for places in _batches(sorted(range(len(ids)), key=lambda place: len(ids[place])), ids):
            lengths = np.array([len(ids[place]) for place in places], np.float32)
            states = np.array(self._encoder.forward_batch([ids[place] for place in places]).last_hidden_state)
            mask = (np.arange(states.shape[1]) < lengths[:, None]).astype(np.float32)
            means = np.einsum("btd,bt->bd", states, mask) / lengths[:, None]
            vectors[places] = means / np.linalg.norm(means, axis=1, keepdims=True)
        return vectors


def _clean(text: str) -> str:
    """Bounded, and as UTF-8, which lone surrogates can't become and the tokenizer needs."""
    return text[:MAX_CHARACTERS].encode("utf-8", "replace").decode()


def _cut(ids: list[int]) -> list[int]:
    """The first tokens, and the end mark. (Not the tokenizer's own truncation: it would count wrongly.)"""
    return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]


def _together(first: _Job, waiting: list[_Job]) -> list[_Job]:
    """`first` and the others that wait, oldest first, while they fit in a slice."""
    jobs, size = [first], len(first.texts)
    for job in waiting:
        if job is not first and job.vectors is None and size + len(job.texts) <= SLICE_TEXTS:
            jobs.append(job)
            size += len(job.texts)
    return jobs


def _batches(order: list[int], ids: list[list[int]]) -> list[list[int]]:
    """Runs of `order` (shortest first) of at most SLICE_TOKENS tokens, padding included."""
    batches: list[list[int]] = []
    for place in order:
        if not batches or (len(batches[-1]) + 1) * len(ids[place]) > SLICE_TOKENS:
            batches.append([])
        batches[-1].append(place)
    return batches


def _convert(source: Path, folder: Path, quantization: str | None) -> None:
    """In a process of its own, so that the server never holds the full weights."""
    command = [sys.executable, "-m", "frontdesk.embedding.convert", str(source), str(folder)]
    if quantization is not None:
        command.append(quantization)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CONVERT_TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise ModelUnavailable(
            f"The embedding model could not be converted within {CONVERT_TIMEOUT_S:.0f} s."
        ) from error
    if done.returncode != 0 or not folder.is_dir():
        reason = done.stderr.strip().rsplit("\n", 1)[-1]
        raise ModelUnavailable(f"The embedding model in {source} could not be converted: {reason}")
