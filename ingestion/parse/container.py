"""Zip containers (Office, OpenDocument, EPUB): what they hold, and whether they are safe to unpack."""

import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from lxml import etree

from indexes.errors import DocumentError
from ingestion.parse.encoding import decode_markup
from ingestion.parse.limits import MEBIBYTE, SMALL_BYTES, Limits

_PARTS = {
    "word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "ppt/": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_OPENDOCUMENT = "application/vnd.oasis.opendocument."
# Packages of Java and Android, and Office's (drawings, projects, printed pages) without one of the parts above.
_PROGRAMS = frozenset(("META-INF/MANIFEST.MF", "AndroidManifest.xml", "[Content_Types].xml"))
_AES_IN_7Z = b"\x06\xf1\x07\x01"
ENCRYPTED = 1  # The flag of a member.


def open_zip(path: Path, limits: Limits) -> zipfile.ZipFile:
    """The container at `path`, to be closed by the caller.

    Raises DocumentError `invalid_file` for a broken one and `too_large` for one that unfolds past `limits`.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise _unopenable() from error
    members = archive.infolist()
    if any(member.header_offset < 0 for member in members):  # Reading one would look like a failure of the disk.
        archive.close()
        raise _unopenable()
    expanded = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    inflated = expanded > SMALL_BYTES and expanded > packed * limits.max_ratio
    if len(members) > limits.max_members or expanded > limits.max_expanded_bytes or inflated:
        archive.close()
        raise DocumentError(
            "This file unpacks into more than is allowed. Split it, or export it without embedded files.",
            code="too_large",
        )
    return archive


def _unopenable() -> DocumentError:
    return DocumentError("This file is damaged: its container cannot be opened. Export it again.")


def kind(path: Path, limits: Limits) -> str:
    """The media type of the document in the zip at `path`, or of an archive.

    Raises DocumentError: encrypted_file, unsupported_file, invalid_file, too_large.
    """
    with open_zip(path, limits) as archive:
        names = set(archive.namelist())
        if "[Content_Types].xml" in names:
            for folder, media_type in _PARTS.items():
                if any(name.lower().startswith(folder) for name in names):
                    return media_type
        declared = archive.read("mimetype")[:100].decode("ascii", "replace").strip() if "mimetype" in names else ""
        if declared.startswith(_OPENDOCUMENT):
            _refuse_encrypted_opendocument(archive)
            return declared.removesuffix("-template")
        if declared == "application/epub+zip":
            return declared
        _refuse_other(archive, names)
        return "application/zip"


def read_xml(archive: zipfile.ZipFile, name: str) -> etree._Element:
    """The root of one XML member. No entity is expanded and nothing is fetched.

    Raises DocumentError `invalid_file` when the member is missing or broken.
    """
    try:
        return parse_xml(archive.read(name))
    except (KeyError, zipfile.BadZipFile, etree.XMLSyntaxError) as error:
        raise DocumentError("This file is damaged: a part of it is missing or broken. Export it again.") from error


def optional_xml(archive: zipfile.ZipFile, name: str) -> Iterable[etree._Element]:
    """The children of the root of one XML member; none when it is missing or broken: the text is read without it."""
    try:
        root: Iterable[etree._Element] = read_xml(archive, name)
    except (DocumentError, zlib.error):
        return ()
    return root


def parse_xml(data: bytes, *, recover: bool = False) -> etree._Element:
    """The root of the XML in `data`, read without entities, external parts or network. Raises lxml's XMLSyntaxError.

    Its encoding is `decode_markup`'s business: libxml2 gives up where the one declared is not the one used.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True,
        remove_pis=True, recover=recover, encoding="utf-8",
    )  # fmt: skip
    return etree.fromstring(decode_markup(data).encode("utf-8", "replace"), parser)


def _refuse_encrypted_opendocument(archive: zipfile.ZipFile) -> None:
    if "META-INF/manifest.xml" in archive.namelist() and b"encryption-data" in archive.read("META-INF/manifest.xml"):
        raise encrypted("document")


def refuse_encrypted_7z(path: Path) -> None:
    """Raise DocumentError `encrypted_file` if the end header of a 7z archive names its cipher, as far as it is plain.

    Source: 7zFormat.txt and Methods.txt of the LZMA SDK.
    """
    with path.open("rb") as file:
        place, size = struct.unpack("<QQ", file.read(28)[12:].ljust(16, b"\0"))
        file.seek(min(32 + place, 1 << 62))
        header = file.read(min(size, MEBIBYTE))
    if _AES_IN_7Z in header:
        raise encrypted("archive")


def encrypted(noun: str) -> DocumentError:
    """The refusal of a `noun` (document, workbook, …) that needs a password."""
    return DocumentError(
        f"This {noun} is protected with a password or rights management. Remove the protection and upload it again.",
        code="encrypted_file",
    )


def _refuse_other(archive: zipfile.ZipFile, names: set[str]) -> None:
    """Raise what is to be said of a zip that is neither a document nor an archive of documents."""
    iwork = any(name.endswith((".iwa", ".iwph")) for name in names) or "buildVersionHistory.plist" in names
    if iwork and _is_locked_iwork(archive, names):
        raise encrypted("document")
    if iwork:
        raise DocumentError(
            "Pages, Numbers and Keynote files cannot be read. Export it as PDF and upload that.",
            code="unsupported_file",
        )
    if names & _PROGRAMS:
        raise DocumentError("This is a program or a drawing, not a document.", code="unsupported_file")
    if any(member.flag_bits & ENCRYPTED for member in archive.infolist()):
        raise encrypted("archive")


def _is_locked_iwork(archive: zipfile.ZipFile, names: set[str]) -> bool:
    """A locked iWork '09 file marks its members with a compression method of its own; later ones add a verifier."""
    methods = {member.compress_type for member in archive.infolist()}
    return any(name.endswith((".iwph", ".iwpv2")) for name in names) or not methods <= {
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    }
