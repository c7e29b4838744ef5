"""Whether a text gives orders to a language model, as planted instructions do ("prompt injection").

A few general rules about what such orders must do to work: set aside the rules that hold, speak as the system, address
the model, take its limits or its secrets, shape its reply, or make it act. Rules can be read and argued with, cost
about a millisecond a page, and cannot see an order that looks like any other sentence: this marks passages, and what
must hold without it (documents are data, outputs are checked) does not rest on it.
"""

import base64
import binascii
import codecs
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SUSPICIOUS: Final = 0.5  # from this score on a text is taken to give orders

_MOST_CHARS = 20_000  # of a text are read; a chunk has fewer
_NEAR = r"(?:[^\w.!?]+\w+){0,6}?[^\w.!?]+"  # up to six words of the same sentence between
_SAME_SENTENCE = r"(?:[^.!?\n]|[.!?](?=[^\s]))"  # a stop within an address or a quote ends none

_SET_ASIDE = (
    r"(?:ignor\w*|disregard\w*|forget\w*|overrid\w*|bypass\w*|supersed\w*|circumvent\w*|skip|neglect|not follow|"
    r"vergiss|vergessen|missachte\w*|oubli\w+|olvid\w+|dimentica\w*|esque[cç]\w+|negeer|vergeet|забудь\w*|игнорир\w*)"
)
_RULES = (
    r"(?:instru[ck][tc]?[ctz]?i?[oóõ]\w*|instrucciones|istruzioni|anweisung\w*|regeln?|vorgaben|consignes|r[eè]gles|reglas|regole|"
    r"regras|rules?|guidelines?|directives?|system\s?prompts?|prompts?|restrictions?|safety|polic(?:y|ies)|filters?|"
    r"programming|training|ethic\w*|everything (?:from )?(?:above|before)|правил\w*|инструкци\w*)"
)
_MODEL = (
    r"(?:chat\s?gpt|gpt-?\d*|(?:ai|artificial intelligence)(?: language)? (?:assistants?|models?|agents?|systems?)|"
    r"language models?|llms?|chat\s?bots?|(?:the|a) bot|assistant)"
)
_LIMITS = (
    r"(?:restrictions?|rules?|limits?|limitations?|filters?|censorship|guidelines?|boundaries|ethic\w*|moral\w*|"
    r"restricciones|l[ií]mites|filtros?|restrizioni|restrictions|regeln|einschr[aä]nkung\w*|ограничени\w*)"
)
_SECRETS = (
    r"(?:system\W?prompt\w*|prompt (?:di|de|du) sist\w+|prompt de sistema|"
    r"(?:hidden|initial|secret|internal|exact|original) "
    r"(?:prompt|instructions?|configuration)|your (?:\w+ )?(?:prompt|instructions?|guidelines|rules)|"
    r"(?:operating )?instructions you were given|systemanweisung\w*|api keys?|credentials?|passwords?|"
    r"environment variables?|confidential (?:data|information)|private (?:data|admin pages))"
)
_TELL = (
    r"(?:reveal\w*|show|print|repeat|tell|leak|dump|list|output|display|expos\w*|disclos\w*|write out|"
    r"give me|what (?:is|are|were)|"
    r"verrat\w*|zeig\w*|montre\w*|r[ée]v[èe]le\w*|muestra\w*|mostra\w*|revela\w*)"
)

_REPLY = r"(?:repl(?:y|ies)|responses?|answers?)"
# What nobody asks a person to do to an answer; to add something to it is looked for apart.
_REWORK = (
    r"(?:modify|alter|enhance|augment|render|encode|encrypt|reverse|misspell|obfuscate|disguise|integrate|incorporate|"
    r"weave|embed|hide|substitute|anagram|convert|reply|respond|substitution|ciphers?|emojis?|base\W?\d\d)"
)


def _rule(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# name, how much one find says (0..1), what is looked for
_WEIGHED: Final = (
    ("sets rules aside", 0.9, _rule(rf"\b{_SET_ASIDE}\b(?:{_NEAR}){_RULES}\b")),
    ("speaks as the system", 0.8, _rule(
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext)\|>|\[/?INST\]|<</?SYS>>|"
            r"^\W{0,6}\[?system(?: (?:note|message|"
        r"update|prompt))?\]?\s?:|\bsystem (?:note|update|override)\b|\bnote syst[eè]me\b|"
            r"end of (?:the )?(?:user )?(?:input|document|"
        r"context|data)\b|\bnew (?:system )?(?:instructions?|directive)\b"
    )),
    ("addresses the model", 0.6, _rule(
        rf"(?:note|message|attention|instructions?|hello|hi|dear|hey)\W+(?:(?:to|for|all|any|every|the)\W+)*{_MODEL}\b|"
        rf"\bif you are an?{_NEAR}{_MODEL}\b|\byou(?: are|'re){_NEAR}{_MODEL}\b|\bas (?:an?|the) {_MODEL}, (?:you|i)\b|"
        rf"\b{_MODEL}(?: reading| processing| summari\w+)\b|\b(?:reasoning|thought)\w*(?: trace)? \((?:assistant|ai)\)"
    )),
    ("gives a part to play", 0.4, _rule(
        r"\b(?:you are|you're|you will be|you shall be) (?:now|no longer|going to (?:act|pretend|be|play))\b|"
        r"\bfrom now on\b|\bab jetzt\b|\bd[ée]sormais\b|\ba partir de ahora\b|\bd'ora in poi\b|"
        r"\b(?:act|behave|respond|answer|reply|pretend) (?:to be|as (?:if|an?|though)|like an?)\b|"
        r"\b(?:go by|answer to|respond to) the name\b|"
        r"\byou (?:will|must|shall|are to) (?:\w+ )?(?:respond|reply|answer)\b|"
        r"\b(?:stay|remain|break|breaking) (?:in )?character\b|\brole-?play\b|\bsimulat(?:e|or)\b"
    )),
    ("lifts limits", 0.4, _rule(
        rf"\b(?:no|without|free (?:of|from)|has no|any|keine|sans|sin|senza|без)\b(?:{_NEAR}){_LIMITS}\b|"
        r"\b(?:un(?:restricted|censored|filtered)|jail\s?br(?:eak|oken)\w*|anything now|never refuse\w*)\b|"
        r"\b(?:developer|dev|debug|god|desarrollador|sudo) mode\b|\bmodo (?:desarrollador|dios)\b|\ball content\b"
    )),
    ("wants secrets", 0.7, _rule(rf"\b{_TELL}\b(?:{_NEAR}){_SECRETS}\b")),
    ("shapes the reply", 0.7, _rule(
        rf"\b(?:append|include|add|insert|start|begin|end|prefix|finish|put|ajout\w+)\b{_SAME_SENTENCE}{{0,90}}?\b"
        r"(?:your|every|each|any|all|toute) (?:\w+ )?(?:repl(?:y|ies)|responses?|answers?|outputs?|"
            r"summar(?:y|ies)|messages?|"
        r"reports?|r[ée]ponse|review)\b|\b(?:repl(?:y|ies)|respond|answer) (?:only|always|every)\b|"
        rf"\b{_REWORK} (?:{_SAME_SENTENCE}{{0,80}}?\b(?:in|into|within|of|for|to) )?your (?:\w+ )?{_REPLY}\b|"
        rf"\bin your (?:\w+ )?{_REPLY}, \w+|"
        rf"\b(?:every|each|any) (?:{_REPLY}|summary|report) (?:that )?you generate\b|"
        r"\bbefore you (?:answer|reply|respond)\b|\bwhen you (?:summari[sz]e|process|answer|read)\b"
    )),
    ("makes it act", 0.7, _rule(
        r"\b(?:call|use|invoke|run|execute) [a-z]+_[a-z_]+\b|"
            r"\b(?:send|forward|e-?mail|post|upload|exfiltrate)\b[^.!?\n]{0,80}?"
        r"\b(?:to|at) (?:https?://|[\w.+-]+@[\w-]+\.)|\bforward all\b|\bmust comply\b|"
            r"\bcomply with (?:every|all|any)\b|"
        r"\bskip all\b"
    )),
    ("hides an order", 0.7, _rule(
        r"\bdecod\w+\b[^\n]{0,80}?\b(?:do|follow|execute|obey|carry out)\b|[\U000e0020-\U000e007e]{4}"
    )),
)  # fmt: skip

_PACKED = re.compile(
    r"(?P<hex>\b(?:[0-9a-fA-F]{2}){16,}\b)|(?P<bits>\b(?:[01]{8}[ ]?){12,})|(?P<ascii85><~[!-u]{20,}~>)"
    r"|(?P<base32>\b(?:[A-Z2-7]{8}){4,}[A-Z2-7]*)|(?P<base64>\b[A-Za-z0-9+/]{24,}={0,2})"
)
_SPACED = re.compile(r"\b(?:\w ){3,}\w\b")
_MOST_UNPACKED = 8
_MOST_FINDS = 2  # of one rule: the third says nothing new


@dataclass(frozen=True, slots=True)
class Orders:
    """How much a text reads as if it gave orders to a model, 0..1, and the rules that say so."""

    score: float
    rules: tuple[str, ...]

    @property
    def suspicious(self) -> bool:
        return self.score >= SUSPICIOUS


def orders(text: str) -> Orders:
    """What the rules find in `text`, of which the first 20,000 characters are read; finds add up."""
    text = text[:_MOST_CHARS]
    counts = {name: _finds(rule, text) for name, _, rule in _WEIGHED}
    doubt = math.prod((1 - weight) ** counts[name] for name, weight, _ in _WEIGHED)
    found = tuple(name for name, count in counts.items() if count)
    set_aside = _WEIGHED[0][2]
    if not counts[_WEIGHED[0][0]] and any(set_aside.search(plain) for plain in _disguised(text)):
        return Orders(1.0, (*found, "disguises an order"))
    return Orders(1 - doubt, found)


def _finds(rule: re.Pattern[str], text: str) -> int:
    """How many different things are found, of which two are enough."""
    found: set[str] = set()
    for match in rule.finditer(text):
        found.add(match[0].casefold())
        if len(found) == _MOST_FINDS:
            break
    return len(found)


def _disguised(text: str) -> Iterator[str]:
    """The text as it reads once usual disguises are taken off."""
    yield text[::-1]
    yield codecs.encode(text, "rot13")
    if _SPACED.search(text):
        yield _SPACED.sub(lambda spaced: spaced[0].replace(" ", ""), text)
    if "\\u00" in text:
        yield re.sub(r"\\u00([0-9a-fA-F]{2})", lambda code: chr(int(code[1], 16)), text)
    for packed, _ in zip(_PACKED.finditer(text), range(_MOST_UNPACKED), strict=False):
        yield _unpacked(packed)


def _unpacked(packed: re.Match[str]) -> str:
    try:
        match packed.lastgroup:
            case "hex":
                data = bytes.fromhex(packed[0])
            case "bits":
                data = bytes(int(octet, 2) for octet in re.findall(r"[01]{8}", packed[0]))
            case "base32":
                data = base64.b32decode(packed[0] + "=" * (-len(packed[0]) % 8))
            case "ascii85":
                data = base64.a85decode(packed[0], adobe=True)
            case _:
                data = base64.b64decode(packed[0] + "=" * (-len(packed[0]) % 4))
    except (ValueError, binascii.Error):
        return ""
    return data.decode("utf-8", "ignore")
