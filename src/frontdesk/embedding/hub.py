"""`python -m frontdesk.embedding.hub`: prints the folder of the model's files from the model hub's cache or the hub."""

import sys

from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from frontdesk.embedding.weights import MODEL, TOKENIZER, WEIGHTS

REPOSITORY = f"sentence-transformers/{MODEL}"
FILES = [WEIGHTS, TOKENIZER]


def main() -> None:
    try:
        folder = snapshot_download(REPOSITORY, allow_patterns=FILES, local_files_only=True)
    except LocalEntryNotFoundError:
        folder = snapshot_download(REPOSITORY, allow_patterns=FILES)
    sys.stdout.write(folder)


if __name__ == "__main__":
    main()
