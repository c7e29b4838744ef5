"""What kind of thing a question asks for, and whether a sentence has one. English; other languages go without."""

import re
from enum import StrEnum


class Wanted(StrEnum):
    """What would count as an answer."""

    PERSON = "person"
    TIME = "time"
    PLACE = "place"
    AMOUNT = "amount"
    REASON = "reason"
    MEANS = "means"
    DEFINITION = "definition"
    ANYTHING = "anything"


_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_COUNTS = "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|thousands?|millions?|billions?"

_QUESTIONS = (
    (
        Wanted.AMOUNT,
        r"\bhow (?:many|much|long|far|tall|old|big|often|large|high|deep|fast)\b|\bwhat (?:number|percent)",
    ),
    (Wanted.TIME, r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|century|time)\b"),
    (Wanted.PERSON, r"\bwho(?:m|se)?\b"),
    (Wanted.PLACE, r"\bwhere\b|\b(?:what|which) (?:city|country|state|place|region|continent)\b"),
    (Wanted.REASON, r"\bwhy\b|\b(?:what|which) (?:reasons?|causes?|caused)\b"),
    (Wanted.MEANS, r"\bhow\b|\b(?:what|which) (?:steps|method|way)\b"),
    (Wanted.DEFINITION, r"^\W*(?:define|what(?: is|'s|’s| are| was| were| does .* mean)|(?:the )?meaning of)\b"),
)
_EVIDENCE = {
    Wanted.PERSON: r"(?<!^)(?<![.!?] )\b[A-Z][\w’'.-]+ (?:(?:van|von|de|da|of|the|[A-Z]\.) )*[A-Z][\w’'-]+",
    Wanted.TIME: rf"\b(?:1\d|20)\d\d\b|\b(?:{_MONTHS})\b|\b\d{{1,2}}(?:st|nd|rd|th)\b|\bcentur|\bB\.?C\.?\b|\bago\b"
    r"|\b\d+(?::\d\d)? ?[ap]\.?m",
    Wanted.PLACE: r"\b(?:in|at|near|from|of|on|across|between|along|outside|within) (?:the )?(?:[\w-]+ )?[A-Z]"
    r"|\b(?:located|found|situated|stored|lies)\b",
    Wanted.AMOUNT: rf"\d|\b(?:{_COUNTS})\b",
    Wanted.REASON: r"\b(?:because|since|due to|caused?|causes|reasons?|result(?:s|ed)? (?:in|of|from)|therefore"
    r"|in order to|so that|as a result|leads? to|led to|owing to|to (?:avoid|ensure|prevent))\b",
    Wanted.MEANS: r"\b(?:by \w+ing|using|uses?|through|via|run|set|add|install|configure|click|select|must|can|then"
    r"|first|steps?)\b",
    Wanted.DEFINITION: r"\b(?:is|are|was|were) (?:an?|the|one|any|used|where|when|how)\b"
    r"|\b(?:means|refers? to|defined as|represents?|denotes?|consists? of)\b",
}
_ASKING = r"^\W*(?:what(?:'s|’s)?|define|meaning of|is|are|was|were|does|do|mean|the|an?|\s)+\b"
_SUBJECT = re.compile(_ASKING, re.IGNORECASE)
_ARTICLE = r"^\W*(?:(?:an?|the)\s+)?"
_ASKED = tuple((wanted, re.compile(pattern, re.IGNORECASE)) for wanted, pattern in _QUESTIONS)
_SHOWN = {wanted: re.compile(pattern) for wanted, pattern in _EVIDENCE.items()}


def wanted(question: str) -> Wanted:
    """The kind of thing asked for, by the question's words."""
    return next((kind for kind, pattern in _ASKED if pattern.search(question)), Wanted.ANYTHING)


def shows(kind: Wanted, question: str, sentence: str) -> float:
    """How far the sentence has a thing of that kind, 0..1; any sentence has anything.

    A definition counts whole only where the sentence begins with what the question asks about.
    """
    if kind is Wanted.ANYTHING:
        return 1.0
    if _SHOWN[kind].search(sentence) is None:
        return 0.0
    return 1.0 if kind is not Wanted.DEFINITION or _leads(question, sentence) else 0.3


def _leads(question: str, sentence: str) -> bool:
    subject = _SUBJECT.sub("", question).strip(" ?.!").split()
    stem = r"\s+".join(re.escape(word.rstrip("s")) + "s?" for word in subject)
    return bool(subject) and re.match(_ARTICLE + stem, sentence, re.IGNORECASE) is not None
