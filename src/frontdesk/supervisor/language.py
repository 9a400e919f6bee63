"""The language of a message, among those that the tenant serves."""

from collections.abc import Sequence

from py3langid.langid import MODEL_FILE, LanguageIdentifier

# Scripts that decide by themselves: first and last code point -> language.
_SCRIPTS = ((0x0600, 0x06FF, "ar"), (0x0900, 0x097F, "hi"))
# Fewer letters than this say too little: the message before helps.
_SHORT_LETTERS = 20
_CLEAR = 0.8  # share of probability from which a short text speaks for itself


class Languages:
    """Detection restricted to a tenant's languages; the first of them where nothing can be told."""

    def __init__(self) -> None:
        """Reads the model: a second of CPU."""
        self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def detect(self, text: str, languages: Sequence[str], history: Sequence[str] = ()) -> str:
        """ISO 639-1. A short message is read with the one before it: "ok, 14:30" is of no language."""
        if len(languages) <= 1:
            return languages[0] if languages else "en"
        for first, last, language in _SCRIPTS:
            if language in languages and sum(first <= ord(char) <= last for char in text) * 2 > _letters(text) > 0:
                return language
        if _letters(text) < _SHORT_LETTERS and history:
            text = f"{history[-1]}\n{text}"
        if not _letters(text):
            return languages[0]
        ranked = [(name, share) for name, share in self._identifier.rank(text) if name in languages]
        if not ranked:
            return languages[0]
        best, share = ranked[0]
        is_clear = _letters(text) >= _SHORT_LETTERS or share >= _CLEAR * sum(other for _, other in ranked)
        return str(best) if is_clear else languages[0]


def _letters(text: str) -> int:
    return sum(char.isalpha() for char in text)
