"""Server-sent events, read as the standard says, from chunks of any size.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

import re

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"

MAX_EVENT_BYTES = 2 * 1024 * 1024


class EventTooLarge(ValueError):
    """An event that no vendor sends: the sender is not what we take it for."""


class SSEReader:
    """Feed it bytes as they come; it gives back the data of each finished event.

    LF, CRLF and CR end a line, several `data` lines are one event, comments and other fields are passed over. An
    event without its closing empty line never happened: the stream was cut in it.
    """

    def __init__(self) -> None:
        self._open: list[bytes] = []  # pieces of a line that has not ended yet
        self._data: list[bytes] = []  # `data` lines of an event that has not ended yet
        self._size = 0
        self._after_cr = False
        self._begun = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Raises EventTooLarge."""
        # CR may turn out to be the first half of CRLF: its LF then ends nothing more.
        if not chunk:
            return []
        if self._after_cr and chunk[:1] == b"\n":
            self._after_cr = False
            return self.feed(chunk[1:])
        self._after_cr = chunk[-1:] == b"\r"
        lines = _LINE_END.split(chunk)
        self._size += len(chunk)
        if len(lines) == 1:  # joined only when the line ends: many small pieces of a long line cost no more than it
            self._open.append(chunk)
            self._check_size()
            return []
        lines[0] = b"".join([*self._open, lines[0]])
        self._open = [lines.pop()]
        events: list[bytes] = []
        for line in lines:
            self._take(line, events)
        self._size = len(self._open[0]) + sum(map(len, self._data))
        self._check_size()
        return events

    def _take(self, line: bytes, events: list[bytes]) -> None:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(_BOM)
        if not line:
            if self._data:
                events.append(b"\n".join(self._data))
                self._data = []
            return
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))

    def _check_size(self) -> None:
        if self._size > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event of more than {MAX_EVENT_BYTES} bytes")
