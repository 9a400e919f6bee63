"""The language of a passage, told by the small words that only this language has."""

from frontdesk.llm.slots.text import fold, word_set, words

_SMALL = {
    "en": "the of and is are you your we our for with from that this be have has not to at on by or it can will after",
    "es": "el los las del una para con por su sus usted son esta pero puede todos como mas y sin al hasta dias",
    "de": "der die das und ist sind sie ihr ihre wir mit von zu fur auf dem den ein eine nicht bei oder kann zum uhr",
    "fr": "le les des est sont vous votre nous avec pour dans sur une du au aux et ou pas par ce cette peut etre",
    "pt": "os as do dos da das uma para com por seu sua sao esta mas pode todos como mais e sem ao ate dias na no",
    "id": "yang dan di ke dari untuk dengan pada ini itu adalah anda kami tidak akan atau jika dapat sampai pukul hari",
}
_OF: dict[str, tuple[str, ...]] = {
    word: tuple(language for language, listed in _SMALL.items() if word in word_set(listed))
    for word in {word for listed in _SMALL.values() for word in listed.split()}
}
_ENOUGH, _AHEAD = 4.0, 1.5


def language_of(text: str) -> str | None:
    """One of six languages; None when the text is too short, of another language, or of several."""
    votes = dict.fromkeys(_SMALL, 0.0)
    for word in words(fold(text)):
        for language in (owners := _OF.get(word.text, ())):
            votes[language] += 1 / len(owners)
    first, second = sorted(votes, key=lambda language: -votes[language])[:2]
    return first if votes[first] >= max(_ENOUGH, _AHEAD * votes[second]) else None
