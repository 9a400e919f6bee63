"""`python -m frontdesk.embedding.convert SOURCE TARGET`: safetensors to a CTranslate2 model, out of the server."""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any  # CTranslate2's specifications are untyped

import numpy as np
from ctranslate2.specs import common_spec, transformer_spec
from safetensors.numpy import load_file

from frontdesk.embedding.weights import TOKENIZER, WEIGHTS

LAYERS, HEADS = 6, 12


def convert(source: Path, target: Path, quantization: str | None) -> None:
    """Writes beside `target` and renames: whoever sees the folder sees a whole model, also when two convert at once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        specification = _specification(load_file(source / WEIGHTS), _vocabulary(source / TOKENIZER))
        specification.validate()
        specification.optimize(quantization=quantization)
        specification.save(str(draft))
        shutil.copyfile(source / TOKENIZER, draft / TOKENIZER)
        draft.chmod(0o755)
        try:
            draft.replace(target)
        except OSError:
            if not target.is_dir():  # else another process was first, with the same result
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _specification(weights: dict[str, Any], vocabulary: list[str]) -> Any:
    """BERT as CTranslate2 says it: embeddings of words, types and positions added, layer norm after each block."""
    encoder = transformer_spec.TransformerEncoderSpec(
        LAYERS,
        HEADS,
        pre_norm=False,
        activation=common_spec.Activation.GELU,
        layernorm_embedding=True,
        num_source_embeddings=2,
        embeddings_merge=common_spec.EmbeddingsMerge.ADD,
    )
    encoder.scale_embeddings = False
    encoder.embeddings[0].weight = weights["embeddings.word_embeddings.weight"]
    encoder.embeddings[1].weight = weights["embeddings.token_type_embeddings.weight"]
    encoder.position_encodings.encodings = weights["embeddings.position_embeddings.weight"]
    _set_norm(encoder.layernorm_embedding, weights, "embeddings.LayerNorm")
    for number, layer in enumerate(encoder.layer):
        name = f"encoder.layer.{number}"
        attention = layer.self_attention
        for part in ("weight", "bias"):  # one matrix product for the three projections
            parts = [weights[f"{name}.attention.self.{which}.{part}"] for which in ("query", "key", "value")]
            setattr(attention.linear[0], part, np.concatenate(parts))
        _set_linear(attention.linear[1], weights, f"{name}.attention.output.dense")
        _set_norm(attention.layer_norm, weights, f"{name}.attention.output.LayerNorm")
        _set_linear(layer.ffn.linear_0, weights, f"{name}.intermediate.dense")
        _set_linear(layer.ffn.linear_1, weights, f"{name}.output.dense")
        _set_norm(layer.ffn.layer_norm, weights, f"{name}.output.LayerNorm")
    model = transformer_spec.TransformerEncoderModelSpec(encoder)
    model.register_vocabulary(vocabulary)
    model.config.unk_token = "[UNK]"  # noqa: S105 - a word of the vocabulary
    model.config.layer_norm_epsilon = 1e-12
    return model


def _set_linear(layer: Any, weights: dict[str, Any], name: str) -> None:
    layer.weight, layer.bias = weights[f"{name}.weight"], weights[f"{name}.bias"]


def _set_norm(layer: Any, weights: dict[str, Any], name: str) -> None:
    layer.gamma, layer.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]


def _vocabulary(tokenizer: Path) -> list[str]:
    ids: dict[str, int] = json.loads(tokenizer.read_bytes())["model"]["vocab"]
    return sorted(ids, key=ids.__getitem__)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
