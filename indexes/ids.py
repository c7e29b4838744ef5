"""Identifiers: a prefix that says what the thing is, then random letters and digits, or a hash where it is derived."""

import hashlib
import secrets
import string
from enum import StrEnum

_ALPHABET = string.ascii_letters + string.digits
_CHARACTERS = 24


class Kind(StrEnum):
    """The prefixes of ids."""

    FILE = "file-"
    STORE = "vs_"
    BATCH = "vsfb_"
    VERSION = "ixv_"
    EVENT = "ixe_"
    COMPARISON = "cmp_"
    GOLDEN_SET = "gold_"
    SNAPSHOT = "snap_"
    REVISION = "rev_"
    RESPONSE = "resp_"
    MESSAGE = "msg_"
    SEARCH_CALL = "fs_"
    COMPLETION = "chatcmpl-"
    RERANKING = "rerank-"
    TRACE = "trace_"
    PROMPT = "prompt_"
    PROMPT_VERSION = "pv_"
    PROMPT_CHANGE = "pc_"
    KEY = "key_"
    REQUEST = "req_"


def new_id(kind: Kind) -> str:
    """A fresh id: 142 random bits, so that ids of other projects cannot be guessed."""
    drawn, characters = secrets.randbelow(len(_ALPHABET) ** _CHARACTERS), ""  # at once: each draw asks the system
    for _ in range(_CHARACTERS):
        drawn, letter = divmod(drawn, len(_ALPHABET))
        characters += _ALPHABET[letter]
    return kind + characters


def chunk_id(revision_id: str, cut: str, ordinal: int) -> str:
    """The id of one chunk, the same whenever the same revision is cut again by the same rule (`Manifest.cut`)."""
    digest = hashlib.sha256(f"{revision_id}\x00{cut}\x00{ordinal}".encode()).hexdigest()
    return f"chunk_{digest[:32]}"
