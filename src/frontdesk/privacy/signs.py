"""Whether a text can hold what a slow expression looks for, told in one pass: most texts hold nothing."""

import re2

_MOST_BYTES = 32 * 2**20  # for the states of one, which are made as texts need them


class Sign:
    """A part that every match of an expression has, searched by RE2 in time that grows with the text alone.

    It finds too much rather than too little. RE2 knows letters, figures and blanks of ASCII only: borders of words are
    left out, a blank may be any sign and a figure any that is not of ASCII.
    """

    def __init__(self, form: str) -> None:
        """`form`: an expression as `re` reads it, whatever the case of letters, without look-around; its `\\d` stands
        outside of brackets."""
        for ours, wider in ((r"\b", ""), (r"\s", r"\W"), (r"\d", r"(?:[0-9]|[^\x00-\x7f])")):
            form = form.replace(ours, wider)
        options = re2.Options()
        options.case_sensitive = False
        options.max_mem = _MOST_BYTES
        self._search = re2.compile(form, options).search

    def is_in(self, text: str) -> bool:
        # `re` takes these two for the letter i, RE2 does not.
        if not text.isascii() and ("\u0130" in text or "\u0131" in text):
            return True
        return self._search(text) is not None
