"""What is wrong with a tenant's files: all of it, each with its file and line, in one error."""

from collections.abc import Iterable
from difflib import get_close_matches

from frontdesk.core.errors import DefinitionError, FieldError

# More than this helps nobody, and a hostile file could ask for any number.
MOST = 100


class Problems:
    """Collects, so that one run tells everything that has to be mended."""

    def __init__(self) -> None:
        self._found: list[tuple[str, int, str]] = []

    def add(self, file: str, line: int, sentence: str) -> None:
        if len(self._found) < MOST and (file, line, sentence) not in self._found:
            self._found.append((file, line, sentence))

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_if_any(self) -> None:
        """Raises DefinitionError, the problems ordered by file and line."""
        if not self._found:
            return
        self._found.sort()
        errors = [FieldError(f"{file}:{line}", sentence) for file, line, sentence in self._found]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise DefinitionError(f"{errors[0].field}: {errors[0].message}{more}", errors=errors)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: what it is near to, else what there is."""
    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    if not names:
        return "there are none"
    shown = ", ".join(f"`{name}`" for name in names[:20])
    return f"accepted: {shown}" + (", …" if len(names) > 20 else "")
