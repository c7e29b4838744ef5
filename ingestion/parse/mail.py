"""Mail: single messages (.eml, .msg), web archives (.mht) and mailboxes (.mbox)."""

import email
import email.policy
from collections.abc import Iterable, Iterator
from email.message import EmailMessage, Message
from pathlib import Path

from indexes.errors import DocumentError
from indexes.model import AttributeValue
from ingestion.parse import web
from ingestion.parse.container import encrypted
from ingestion.parse.draft import Draft, Piece, attributes, heading
from ingestion.parse.encoding import decode
from ingestion.parse.limits import Limits
from ingestion.parse.plain import paragraphs

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
    import mailbox

    box = mailbox.mbox(path, factory=lambda file: email.message_from_binary_file(file, policy=email.policy.default), create=False)  # type: ignore[arg-type,return-value]  # noqa: E501
    return Draft([piece for message in box for piece in _message(message, 1, limits)])


def parse_msg(path: Path, limits: Limits) -> Draft:
    """As `parse_eml`, for a message that Outlook saved."""
    from oxmsg import Message as OutlookMessage

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
    charset = part.get_content_charset()
    if charset:
        try:
            return data.decode(charset)
        except (LookupError, UnicodeError):
            pass  # A wrong or unknown name: the bytes themselves say more.
    return decode(data)


def _inner(message: Message) -> Iterator[Message]:
    """The messages directly inside `message`."""
    payload = message.get_payload()
    for part in payload if isinstance(payload, list) else ():
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload()
            yield from inner if isinstance(inner, list) else ()
        elif part.is_multipart():
            yield from _inner(part)


def _card(fields: Iterable[tuple[str, object]]) -> Piece:
    return Piece("\n".join(f"{name}: {' '.join(str(value).split())}" for name, value in fields if value))


def _header(message: Message, name: str) -> str | None:
    """A header as text; one that cannot be read counts as missing."""
    try:
        value = message[name]
        return str(value).strip() or None if value is not None else None
    except (ValueError, TypeError, AttributeError, IndexError, LookupError):
        return None


def _metadata(message: Message) -> dict[str, AttributeValue]:
    names = [part.get_filename() or "unnamed" for part in message.walk() if part.get_content_disposition() == "attachment"]
    return attributes(
        author=_header(message, "From"),
        to=_header(message, "To"),
        created=_header(message, "Date"),
        attachments=", ".join(names),
    )
