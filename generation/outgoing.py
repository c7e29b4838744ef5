"""What must not leave in an answer, whatever a document talked a model into: links that carry data out, and our rules.

An image is fetched as soon as it is shown, and a link that the model put together can hold what it read. Only links
that stand in a passage, the question or the app's instructions, letter by letter, may stay: they can carry nothing new.
"""

import re
from collections.abc import Sequence

_HTML = r"<(?:img|image|iframe|script|link|object|embed|video|audio|source|svg|form|input|meta|base|style)\b[^>]*>?"
_TARGET = r"\(\s*<?(?P<{}>[^)\s>]*)[^)]*\)"
_URL = r"[^\s<>\"')\]]"
_NO_SCHEME = r"(?<![:/\w])//"  # of a link with the scheme of the page; a host with a dot tells it from a remark
_TOKEN = re.compile(
    rf"!\[(?P<alt>[^\]]*)\](?:{_TARGET.format('image')}|\[[^\]]*\])|\[(?P<text>[^\]]*)\]{_TARGET.format('link')}|(?P<html>{_HTML})"
    r"|(?P<bare>(?:\b(?:https?|ftps?|file|data|javascript|vbscript):|\bwww\.)" + _URL + r"+"
    rf"|{_NO_SCHEME}(?:[\w-]+\.)+\w{_URL}*)",
    re.IGNORECASE,
)
_LONGEST = 2048  # characters that are held back until a link or tag is whole
_UNCLEAR = re.compile(
    rf"(?:!?\[[^\]\n]{{0,{_LONGEST}}}(?:\](?:\([^)\n]{{0,{_LONGEST}}}|\[[^\]\n]{{0,{_LONGEST}}})?)?|!|<[^>\n]{{0,{_LONGEST}}}"
    rf"|\b(?:h(?:t(?:t(?:ps?)?)?)?|f(?:t(?:ps?)?|i(?:le?)?)?|d(?:a(?:ta?)?)?|j(?:a(?:v(?:a\w{{0,6}})?)?)?|v(?:b\w{{0,6}})?"
    rf"|w{{1,3}})|(?<![:/\w])/|{_NO_SCHEME}{_URL}{{0,{_LONGEST}}}|(?:\b(?:https?|ftps?|file|data|javascript|vbscript):|\bwww\.){_URL}{{0,{_LONGEST}}})$",
    re.IGNORECASE,
)
_STOPS = ".,;:!?…"
_WORD = re.compile(r"\w+")
_LEAK_WORDS = 12  # of our rules in a row are no coincidence
_TAIL = 400  # characters that hold as many words


class OutgoingFilter:
    """Takes the links and images out of a stream that none of `sources` has; their text stays.

    `dropped` counts them. `leaked` is set once twelve words of `rules` in a row were said.
    """

    def __init__(self, sources: Sequence[str], rules: str) -> None:
        self._sources = sources
        self._rules = _runs(rules)
        self._before = ""  # the last character that was passed: words do not begin in their middle
        self._held = ""
        self._tail = ""
        self.dropped = 0
        self.leaked = False

    def feed(self, piece: str) -> str:
        """What may be shown by now."""
        text = self._before + self._held + piece
        shown, at = "", len(self._before)
        while True:
            token, unclear = _TOKEN.search(text, at), _UNCLEAR.search(text, at)
            if token is None or (unclear and unclear.start() <= token.start()):
                break
            shown += text[at : token.start()] + self._neutral(token)
            at = token.end()
        end = unclear.start() if unclear else len(text)
        self._before, self._held = text[:end][-1:], text[end:]
        return self._said(shown + text[at:end])

    def finish(self) -> str:
        """What was held back, at the end or before a citation."""
        text, at = self._before + self._held, len(self._before)
        self._before, self._held = text[-1:], ""
        return self._said(
            _TOKEN.sub(lambda token: self._neutral(token) if token.start() >= at else token[0], text)[at:]
        )

    def _said(self, text: str) -> str:
        self._tail = (self._tail + text)[-_TAIL:]
        self.leaked = self.leaked or not self._rules.isdisjoint(_runs(self._tail))
        return text

    def _neutral(self, token: re.Match[str]) -> str:
        """What stands in place of a link, image or tag."""
        kept = ""
        match token.lastgroup:
            case "link":
                if self._known(token["link"]):
                    return token[0]
                kept = token["text"]
            case "bare":
                url = token[0].rstrip(_STOPS)
                if self._known(url):
                    return token[0]
                kept = token[0][len(url) :]
            case "alt" | "image":
                kept = token["alt"]
        self.dropped += 1
        return _TOKEN.sub(self._neutral, kept)

    def _known(self, url: str) -> bool:
        return bool(url) and any(url in source for source in self._sources)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    return {tuple(words[at : at + _LEAK_WORDS]) for at in range(len(words) - _LEAK_WORDS + 1)}
