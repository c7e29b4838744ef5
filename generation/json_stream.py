"""Reads JSON while it arrives (RFC 8259): what is known so far is said at once, strings piece by piece."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

import orjson

Path = tuple[str, ...]
ITEM: Final = "[]"  # stands in a path for any element of an array

_BLANKS = " \t\r\n"
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNREADABLE = "\ufffd"
_DEEPEST = 32
_LONGEST_WORD = 64

# A part of the reader: it is sent one character after the other. What it returns, if anything, is the character that
# follows what it read.
_Steps = Generator[None, str, str]
_Run = Generator[None, str, None]


@dataclass(frozen=True, slots=True)
class StringPart:
    """More of the string at `path`; never empty."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Value:
    """A number, true, false or null at `path`."""

    path: Path
    value: float | bool | None


@dataclass(frozen=True, slots=True)
class Closed:
    """The string, array or object at `path` is complete."""

    path: Path


JsonEvent = StringPart | Value | Closed


class JsonStream:
    """Feed it text, cut anywhere: the events are the same, but for how strings fall into parts.

    A lone half of a surrogate pair is read as U+FFFD.
    """

    def __init__(self) -> None:
        self._events: list[JsonEvent] = []
        self._reader = self._document()
        next(self._reader)

    def feed(self, text: str) -> list[JsonEvent]:
        """What `text` adds. Raises ValueError at the first character that cannot be part of a JSON text."""
        for char in text:
            self._reader.send(char)
        events, self._events = self._events, []
        return events

    def _document(self) -> _Run:
        char = yield from self._value((), (yield from _visible((yield))))
        while True:
            if char not in _BLANKS:
                raise ValueError("more after the end of the JSON text")
            char = yield

    def _value(self, path: Path, char: str) -> _Steps:
        if len(path) > _DEEPEST:
            raise ValueError("JSON too deep to be an answer")
        match char:
            case '"':
                yield from _string(lambda text: self._say(path, text))
            case "[":
                yield from self._array(path)
            case "{":
                yield from self._object(path)
            case _:
                return (yield from self._word(path, char))
        self._events.append(Closed(path))
        return (yield)

    def _array(self, path: Path) -> _Run:
        char = yield from _visible((yield))
        while char != "]":
            char = yield from _visible((yield from self._value((*path, ITEM), char)))
            if char != "]":
                _expect(",", char)
                char = yield from _visible((yield))
                _refuse("]", char)

    def _object(self, path: Path) -> _Run:
        char = yield from _visible((yield))
        while char != "}":
            _expect('"', char)
            key: list[str] = []
            yield from _string(key.append)
            _expect(":", (yield from _visible((yield))))
            first = yield from _visible((yield))
            char = yield from _visible((yield from self._value((*path, "".join(key)), first)))
            if char != "}":
                _expect(",", char)
                char = yield from _visible((yield))
                _refuse("}", char)

    def _word(self, path: Path, char: str) -> _Steps:
        word = ""
        while char not in ",]}" + _BLANKS:
            word += char
            if len(word) > _LONGEST_WORD:
                raise ValueError("a number without end in the JSON")
            char = yield
        self._events.append(Value(path, orjson.loads(word)))
        return char

    def _say(self, path: Path, text: str) -> None:
        last = self._events[-1] if self._events else None
        if isinstance(last, StringPart) and last.path == path:
            self._events[-1] = StringPart(path, last.text + text)
        else:
            self._events.append(StringPart(path, text))


def _visible(char: str) -> _Steps:
    while char in _BLANKS:
        char = yield
    return char


def _string(say: Callable[[str], None]) -> _Run:
    """What follows the opening quote, up to and with the closing one."""
    high = ""
    while (char := (yield)) != '"':
        if char < " ":
            raise ValueError("a bare control character in a JSON string")
        if char == "\\":
            char = yield from _escape()
        low = "\udc00" <= char <= "\udfff"
        if high and low:
            char = (high + char).encode("utf-16", "surrogatepass").decode("utf-16")
        elif high:
            say(_UNREADABLE)
        high = char if "\ud800" <= char <= "\udbff" else ""
        if not high:
            say(_UNREADABLE if "\udc00" <= char <= "\udfff" else char)
    if high:
        say(_UNREADABLE)


def _escape() -> _Steps:
    char = yield
    if char != "u":
        if char not in _ESCAPES:
            raise ValueError(f"\\{char} in a JSON string")
        return _ESCAPES[char]
    digits = ""
    while len(digits) < 4:
        digits += yield
    if not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        raise ValueError(f"\\u{digits} in a JSON string")
    return chr(int(digits, 16))


def _expect(wanted: str, char: str) -> None:
    if char != wanted:
        raise ValueError(f"{char!r} where JSON has {wanted!r}")


def _refuse(unwanted: str, char: str) -> None:
    if char == unwanted:
        raise ValueError(f"{char!r} after a comma in the JSON")
