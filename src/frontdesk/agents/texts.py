"""The few sentences that the runner itself says to contacts, in six languages; others get English."""

_ASK = {
    "en": "Could you tell me: {label}?",
    "es": "¿Me puede decir: {label}?",
    "de": "Können Sie mir bitte sagen: {label}?",
    "fr": "Pouvez-vous me dire : {label} ?",
    "pt": "Pode dizer-me: {label}?",
    "id": "Boleh beri tahu saya: {label}?",
}
_AGAIN = {
    "en": "That does not look quite right.",
    "es": "Eso no parece del todo correcto.",
    "de": "Das scheint nicht ganz zu stimmen.",
    "fr": "Cela ne semble pas tout à fait correct.",
    "pt": "Isso não parece estar certo.",
    "id": "Sepertinya itu belum tepat.",
}
_UNFINISHED = {
    "en": "I could not finish this. Please try again, or ask for a person.",
    "es": "No he podido terminarlo. Inténtelo de nuevo o pida hablar con una persona.",
    "de": "Das konnte ich nicht zu Ende bringen. Bitte versuchen Sie es noch einmal oder verlangen Sie einen Menschen.",
    "fr": "Je n'ai pas pu terminer. Veuillez réessayer ou demander à parler à une personne.",
    "pt": "Não consegui concluir. Tente de novo ou peça para falar com uma pessoa.",
    "id": "Saya belum bisa menyelesaikannya. Silakan coba lagi, atau minta bicara dengan petugas.",
}
_DONE = {
    "en": "Done.",
    "es": "Hecho.",
    "de": "Erledigt.",
    "fr": "C'est fait.",
    "pt": "Feito.",
    "id": "Selesai.",
}
_READING = {
    "en": "Looking in the documents",
    "es": "Buscando en los documentos",
    "de": "Ich sehe in den Unterlagen nach",
    "fr": "Je cherche dans les documents",
    "pt": "A procurar nos documentos",
    "id": "Mencari di dokumen",
}
_WORKING = {
    "en": "Working on it",
    "es": "En ello",
    "de": "Ich kümmere mich darum",
    "fr": "Je m'en occupe",
    "pt": "A tratar disso",
    "id": "Sedang dikerjakan",
}


def ask(label: str, language: str) -> str:
    """For a parameter whose schema has no question of its own."""
    return _said(_ASK, language).format(label=label)


def again(language: str) -> str:
    return _said(_AGAIN, language)


def unfinished(language: str) -> str:
    return _said(_UNFINISHED, language)


def done(language: str) -> str:
    return _said(_DONE, language)


def reading(language: str) -> str:
    return _said(_READING, language)


def working(language: str) -> str:
    return _said(_WORKING, language)


def _said(sentences: dict[str, str], language: str) -> str:
    return sentences.get(language[:2].lower(), sentences["en"])
