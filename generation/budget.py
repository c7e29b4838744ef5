"""What fits in a prompt."""

from collections.abc import Callable, Sequence

from generation.model import Turn
from indexes.sentences import sentences

CountTokens = Callable[[str], int]


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` is, a little too many rather than too few: a third of its UTF-8 bytes.

    That is three letters of English, one and a half of Russian and one Chinese character to a token.
    """
    return -(-len(text.encode("utf-8", "replace")) // 3)


def fit(texts: Sequence[str], tokens: int, count: CountTokens = estimate_tokens) -> list[str]:
    """The texts, in order, until `tokens` are used up; the last one is cut after a whole sentence."""
    kept: list[str] = []
    for text in texts:
        needed = count(text)
        if needed > tokens:
            cut = _cut(text, tokens, count)
            return [*kept, cut] if cut else kept
        kept.append(text)
        tokens -= needed
    return kept


def recent(turns: Sequence[Turn], tokens: int, count: CountTokens = estimate_tokens) -> list[Turn]:
    """The latest turns that fit in `tokens`, oldest first."""
    kept: list[Turn] = []
    for turn in reversed(turns):
        tokens -= count(turn.text)
        if tokens < 0:
            break
        kept.append(turn)
    return kept[::-1]


def _cut(text: str, tokens: int, count: CountTokens) -> str:
    end = 0
    for _, stop in sentences(text):
        if count(text[:stop]) > tokens:
            break
        end = stop
    return text[:end]
