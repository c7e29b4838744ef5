"""Mail: single messages (.eml, .msg), web archives (.mht) and mailboxes (.mbox)."""

import codecs
import email
import email.policy
import re
from collections.abc import Iterable, Iterator
from email.message import EmailMessage, Message
from functools import cache
from pathlib import Path

from indexes.errors import DocumentError
from indexes.model import AttributeValue
from ingestion.parse import web
from ingestion.parse.container import encrypted
from ingestion.parse.draft import Draft, Piece, attributes, heading
from ingestion.parse.encoding import decode
from ingestion.parse.limits import Limits
from ingestion.parse.plain import paragraphs

# What begins a message in a mailbox, and not a sentence in its body; the standard library's reader takes any "From ",
# and opens the file for writing.
_MBOX_MARK = re.compile(rb"(?:\A|\n\r?\n)From \S+ [^\n]*\d{4}[^\n]*\n(?=[!-9;-~]+:\s)")
_SHOWN = ("From", "To", "Cc", "Date")


def parse_eml(path: Path, limits: Limits) -> Draft:
    """Subject as a heading, who and when, the body, then messages inside the message."""
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    pieces = list(_message(message, 1, limits))
    if not message.keys() and not pieces:
        raise DocumentError("This mail has neither a header nor a body.", code="empty_file")
    return Draft(pieces, _header(message, "Subject"), _metadata(message))


def parse_mbox(path: Path, limits: Limits) -> Draft:
    """The messages of a mailbox, one after the other."""
    parts = split_mbox(path.read_bytes())
    messages = (email.message_from_bytes(part, policy=email.policy.default) for part in parts)
    return Draft([piece for message in messages for piece in _message(message, 1, limits)])


def split_mbox(data: bytes) -> list[bytes]:
    """The messages of a mailbox."""
    return _MBOX_MARK.split(data)[1:]


def parse_msg(path: Path, limits: Limits) -> Draft:
    """As `parse_eml`, for a message that Outlook saved."""
    from oxmsg import Message as OutlookMessage

    _know_windows_code_pages()
    message = OutlookMessage.load(str(path))
    headers = message.message_headers
    metadata = attributes(
        author=message.sender,
        to=", ".join(recipient.email_address for recipient in message.recipients),
        created=message.sent_date,
        attachments=", ".join(attachment.file_name or "unnamed" for attachment in message.attachments),
    )
    shown = {"From": message.sender, "To": metadata.get("to"), "Cc": headers.get("Cc"), "Date": message.sent_date}
    pieces = [heading(message.subject or "", 1), _card(shown.items())]
    if message.body:
        pieces += paragraphs(message.body)
    elif message.html_body:
        pieces += [piece.below(1) for piece in web.read(message.html_body).pieces]
    return Draft(pieces, message.subject, metadata)


@cache
def _know_windows_code_pages() -> None:
    """Outlook calls code page 950 `windows-950`; Python knows it as `cp950`."""

    def find(name: str) -> codecs.CodecInfo | None:
        number = name.removeprefix("windows_")
        return codecs.lookup(f"cp{number}") if number != name and number.isdigit() else None

    codecs.register(find)


def _message(message: Message, level: int, limits: Limits) -> Iterator[Piece]:
    if level > limits.max_depth:
        return
    yield heading(_header(message, "Subject") or "", level)
    yield _card((name, _header(message, name)) for name in _SHOWN)
    if message.get_content_type() in ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"):
        raise encrypted("mail")
    body = message.get_body(("plain", "html")) if isinstance(message, EmailMessage) else None
    if body is not None:
        yield from _body(body, level)
    for part in _inner(message):
        yield from _message(part, level + 1, limits)


def _body(part: Message, level: int) -> Iterator[Piece]:
    text = _content(part)
    if part.get_content_type() == "text/html":
        yield from (piece.below(level) for piece in web.read(text).pieces)
    else:
        yield from paragraphs(text)


def _content(part: Message) -> str:
    """The text of one part, whatever it says of its encoding."""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    return decode(data, part.get_content_charset())


def _inner(message: Message) -> Iterator[Message]:
    """The messages directly inside `message`."""
    for part in _parts(message):
        if part.get_content_type() == "message/rfc822":
            yield from _parts(part)
        elif part.is_multipart():
            yield from _inner(part)


def _parts(message: Message) -> list[Message]:
    payload = message.get_payload()
    return [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []


def _card(fields: Iterable[tuple[str, object]]) -> Piece:
    return Piece("\n".join(f"{name}: {' '.join(str(value).split())}" for name, value in fields if value))


def _header(message: Message, name: str) -> str | None:
    """A header as text; one that cannot be read counts as missing."""
    try:
        value = message[name]
        return str(value).strip() or None if value is not None else None
    except (ArithmeticError, ValueError, TypeError, AttributeError, LookupError):
        return None


def _metadata(message: Message) -> dict[str, AttributeValue]:
    attached = (part for part in message.walk() if part.get_content_disposition() == "attachment")
    return attributes(
        author=_header(message, "From"),
        to=_header(message, "To"),
        created=_header(message, "Date"),
        attachments=", ".join(part.get_filename() or "unnamed" for part in attached),
    )
