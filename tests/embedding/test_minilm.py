"""MiniLM on CTranslate2 against the model's arithmetic written out in numpy, and its behaviour under many callers."""

import asyncio
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from frontdesk.embedding.minilm import MAX_TOKENS, MiniLM
from frontdesk.embedding.weights import ModelUnavailable, find_weights

TEXTS = [
    "How do I prepare for a blood test tomorrow morning?",
    "Visiting hours are from 9 to 5.",
    "¿Cuáles son los horarios de visita?",
    "Hello",
    "",
    "我想预约 🩺 \x07 ﬁne",
    "The quick brown fox jumps over the lazy dog. " * 60,
]


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def exact(model_cache: Path) -> MiniLM:
    return MiniLM.load(model_cache, quantization=None)


@pytest.fixture(scope="session")
def minilm(model_cache: Path) -> MiniLM:
    return MiniLM.load(model_cache)


def reference(texts: list[str]) -> np.ndarray:
    """BERT's forward pass, a text at a time (Devlin et al. 2018; layer norm after each block, exact GELU)."""
    folder = find_weights(None)
    weights = load_file(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    erf = np.vectorize(math.erf)

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def heads(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), 12, 32).transpose(1, 0, 2)

    def one(text: str) -> np.ndarray:
        ids = tokenizer.encode(text).ids
        x = weights["embeddings.word_embeddings.weight"][ids].astype(np.float64)
        x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
        x = norm("embeddings.LayerNorm", x + weights["embeddings.token_type_embeddings.weight"][0])
        for number in range(6):
            name = f"encoder.layer.{number}"
            query, key, value = (heads(linear(f"{name}.attention.self.{w}", x)) for w in ("query", "key", "value"))
            scores = query @ key.transpose(0, 2, 1) / math.sqrt(32)
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            shares /= shares.sum(-1, keepdims=True)
            seen = (shares @ value).transpose(1, 0, 2).reshape(len(ids), 384)
            x = norm(f"{name}.attention.output.LayerNorm", x + linear(f"{name}.attention.output.dense", seen))
            inner = linear(f"{name}.intermediate.dense", x)
            inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
            x = norm(f"{name}.output.LayerNorm", x + linear(f"{name}.output.dense", inner))
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)

    return np.stack([one(text) for text in texts])


async def test_float32_agrees_with_the_arithmetic_of_the_model(exact: MiniLM) -> None:
    assert ((await exact.embed(TEXTS)) * reference(TEXTS)).sum(1).min() > 0.9999


async def test_int8_stays_close_to_float32(exact: MiniLM, minilm: MiniLM) -> None:
    assert ((await exact.embed(TEXTS)) * (await minilm.embed(TEXTS))).sum(1).min() > 0.98


async def test_vectors_have_length_one_and_the_order_of_the_texts(minilm: MiniLM) -> None:
    together = await minilm.embed([*TEXTS, TEXTS[0]])
    assert together.shape == (len(TEXTS) + 1, 384)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.array_equal(together[0], together[-1])


async def test_nothing_to_embed_gives_no_vectors(minilm: MiniLM) -> None:
    assert (await minilm.embed([])).shape == (0, 384)


async def test_text_that_is_no_unicode_is_embedded_all_the_same(minilm: MiniLM) -> None:
    assert np.isfinite(await minilm.embed(["lone \ud800 surrogate", "nul \x00 byte"])).all()


async def test_what_comes_after_the_256th_token_does_not_count(minilm: MiniLM) -> None:
    start = "word " * 300
    one, other = await minilm.embed([start, start + "something else"])
    assert np.allclose(one, other, atol=1e-5)


async def test_callers_at_once_get_what_each_would_get_alone(minilm: MiniLM, model_cache: Path) -> None:
    texts = [f"question number {number} about {'insurance ' * (number % 7)}" for number in range(150)]
    alone = await MiniLM.load(model_cache).embed(texts)
    together = await asyncio.gather(*(minilm.embed([text]) for text in texts))
    assert ((np.concatenate(together) * alone).sum(1) > 0.999).all()


async def test_a_caller_that_goes_away_takes_nobody_with_it(model_cache: Path) -> None:
    minilm = MiniLM.load(model_cache)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(minilm.embed([f"text {number}"])) for number in range(60)]
        await asyncio.sleep(0)  # all of them wait now
        for task in tasks[::2]:
            task.cancel()
    assert [task.cancelled() for task in tasks] == [True, False] * 30
    assert all(task.result().shape == (1, 384) for task in tasks[1::2])
    assert (await minilm.embed(["afterwards"])).shape == (1, 384)


async def test_the_event_loop_runs_while_the_model_works(model_cache: Path) -> None:
    minilm = MiniLM.load(model_cache)
    embedding = asyncio.ensure_future(minilm.embed([f"passage {number} " * 100 for number in range(32)]))
    rounds = 0
    while not embedding.done():
        await asyncio.sleep(0.001)
        rounds += 1
    await embedding
    assert rounds > 20


def test_two_that_convert_at_once_both_get_the_whole_model(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: MiniLM.load(tmp_path / "models"), range(2)))
    assert both[0].name == both[1].name
    assert [folder.name for folder in (tmp_path / "models").iterdir()] == [both[0].name.replace("/", "-") + "-1"]


def test_a_folder_without_the_model_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"model\.safetensors"):
        MiniLM.load(tmp_path / "cache", tmp_path)


def test_weights_that_are_no_model_leave_nothing_behind(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "model.safetensors").write_bytes(b"not safetensors")
    (weights / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelUnavailable, match="could not be converted"):
        MiniLM.load(tmp_path / "cache", weights)
    assert list((tmp_path / "cache").glob("*")) == []


def test_loading_brings_no_heavy_library_in() -> None:
    program = (
        "import sys, frontdesk.embedding.minilm\n"
        "print([m for m in ('torch', 'transformers', 'sklearn', 'scipy', 'safetensors', 'huggingface_hub') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
