"""The `frontdesk` commands."""

import warnings

# The embedded database's package asks for XDG_RUNTIME_DIR while it is imported; without one it uses the temporary
# directory, which is right, and nothing that an operator has to read.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")

from frontdesk.cli.app import main  # noqa: E402 - after the filter, as the warning comes at import

__all__ = ["main"]
