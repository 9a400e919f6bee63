"""The `frontdesk` commands."""

import gc
import os
import warnings

# Before NumPy is imported. One thread is as fast for vectors of this size, and on a busy machine far steadier.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The embedded database's package asks for XDG_RUNTIME_DIR while it is imported; without one it uses the temporary
# directory, which is right, and nothing that an operator has to read.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")

# What is imported stays: looking through it for garbage again and again as it grows takes up to a third of a start.
gc.disable()

from frontdesk.cli.app import main  # noqa: E402 - after what must stand before its imports

gc.freeze()
gc.enable()

__all__ = ["main"]
