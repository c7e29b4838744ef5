"""The hard facts of a text, which a paraphrase must keep: numbers, dates, names and negations."""

import re

from generation.terms import terms
from indexes.sentences import without_list_marker

_NUMBER = re.compile(r"\d+(?:[.,'’\u00a0\u202f]\d+)*")
_THOUSANDS = re.compile(r"(?<=\d)[,'’\u00a0\u202f](?=\d{3}(?!\d))")
_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES = {word: value for value, word in enumerate(_UNITS.split())}
_VALUES |= {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}
_DIGITS = "one|two|three|four|five|six|seven|eight|nine"
_SPELT = re.compile(
    rf"\b(?:({_TENS.replace(' ', '|')})(?:[- ]({_DIGITS}))?|({'|'.join(_UNITS.split())}))\b(?!-)", re.IGNORECASE
)
_DATE_WORD = re.compile(
    r"\b(?:(Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?:uary|ruary|ch|il|e|y|ust|t?(?:ember)?|ober|\.)?"
    r"|(May)(?= \d)|(?<=\d )(May)|(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?)\b"
)
_NAME = re.compile(r"(?<=[\w,;:)’'\"] )(?:[A-Z][\w’-]+)")
_NEGATION = re.compile(r"\b(?:not|no|never|none|nobody|nothing|neither|nor|without|cannot)\b|n[’']t\b", re.IGNORECASE)


def numbers(text: str) -> frozenset[str]:
    """Every number, however it is grouped or spelt; "one" is not counted among them, for it seldom is a number."""
    body = text[without_list_marker(text, 0, len(text)) :]
    digits = {_THOUSANDS.sub("", number) for number in _NUMBER.findall(body)}
    spelt = {str(_value(*match.groups(default=""))) for match in _SPELT.finditer(body) if match[0].lower() != "one"}
    return frozenset(digits | spelt)


def dates(text: str) -> frozenset[str]:
    """The months and days of the week that are named, each by its first letters; English."""
    return frozenset(next(filter(None, match.groups())) for match in _DATE_WORD.finditer(text))


def names(text: str) -> frozenset[str]:
    """The terms of capitalised words that do not begin the text."""
    return frozenset(term for name in _NAME.findall(text) for term in terms(name))


def negates(text: str) -> bool:
    """Whether anything in it is denied; English."""
    return _NEGATION.search(text) is not None


def _value(tens: str, unit: str, small: str) -> int:
    return _VALUES[small.lower()] if small else _VALUES[tens.lower()] + _VALUES.get(unit.lower(), 0)
