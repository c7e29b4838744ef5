"""What is attached to a mail, as parts. Messages inside a message are part of its text; their attachments count too."""

import email
import email.policy
import io
import mimetypes
from email.message import Message
from functools import partial
from pathlib import Path
from typing import IO

from indexes.errors import DocumentError
from ingestion.parse.mail import split_mbox
from ingestion.parse.meter import Meter
from ingestion.parse.part import Part, Parts, clean_name

# They say who signed, nothing to read.
_SIGNATURES = frozenset(("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"))


def of_eml(path: Path, filename: str, meter: Meter) -> Parts:
    """The attachments of one message."""
    return _of_message(path.read_bytes(), "", meter)


def of_mbox(path: Path, filename: str, meter: Meter) -> Parts:
    """The attachments of all messages of a mailbox, in one folder for each message that has some."""
    for number, message in enumerate(split_mbox(path.read_bytes()), start=1):
        yield from _of_message(message, f"{number}/", meter)


def of_msg(path: Path, filename: str, meter: Meter) -> Parts:
    """The files attached to a message that Outlook saved; what is only linked to is left out."""
    from oxmsg import Message as OutlookMessage

    for attachment in OutlookMessage.load(str(path)).attachments:
        if data := attachment.file_bytes:
            meter.take_member()
            yield Part(clean_name(attachment.file_name or "unnamed"), partial(io.BytesIO, data), len(data))


def _of_message(data: bytes, folder: str, meter: Meter) -> Parts:
    for part in email.message_from_bytes(data, policy=email.policy.default).walk():
        if _is_attached(part):
            meter.take_member()
            yield Part(clean_name(folder + _name(part)), partial(_open, part))


def _is_attached(part: Message) -> bool:
    """Whether `part` is a file to be read on its own, and not words or a picture of the body."""
    if part.is_multipart() or part.get_content_type() in _SIGNATURES:
        return False
    if part.get_content_maintype() == "image" and "Content-ID" in part:  # The body shows it.
        return False
    return part.get_content_disposition() == "attachment" or part.get_filename() is not None


def _name(part: Message) -> str:
    suffix = mimetypes.guess_extension(part.get_content_type()) or ""
    return (part.get_filename() or f"unnamed{suffix}").replace("/", "_")


def _open(part: Message) -> IO[bytes]:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        raise DocumentError("This attachment is damaged. Send it again.")
    return io.BytesIO(data)
