"""What is in mails and archives: what is taken out, under which names, and what it may cost."""

import errno
import gzip
import hashlib
import io
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.errors import DocumentError
from ingestion.children import Children
from ingestion.parse import CONTAINERS, Limits, parse
from ingestion.parse.meter import refusing_damage
from ingestion.parse.part import MAX_NAME_CHARS, clean_name
from ingestion.parse.unpack import Unpacked, unpack

Unpack = Callable[..., Unpacked]


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def mail(**attachments: bytes) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "Minutes"
    message.set_content("See below.")
    for name, data in attachments.items():
        message.add_attachment(data, "application", "octet-stream", filename=name)
    return message


@pytest.fixture
def take(tmp_path: Path) -> Unpack:
    """Unpacks bytes with the given limits, and checks what holds of every outcome."""

    def taken(data: bytes, filename: str = "file", **limits: int) -> Unpacked:
        path, into = tmp_path / "blob", tmp_path / "into"
        path.write_bytes(data)
        into.mkdir()
        unpacked = unpack(path, filename, Limits(**limits), into)
        assert {part.path for part in unpacked.parts} == set(into.iterdir()), "nothing else was written"
        assert {path.name for path in tmp_path.iterdir()} == {"blob", "into"}
        assert len({part.name for part in unpacked.parts}) == len(unpacked.parts)
        for part in unpacked.parts:
            data = part.path.read_bytes()
            assert (part.sha256, part.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
        return unpacked

    return taken


def contents(unpacked: Unpacked) -> dict[str, bytes]:
    return {part.name: part.path.read_bytes() for part in unpacked.parts}


def test_archives_in_archives_and_mails_are_opened(take: Unpack) -> None:
    message = mail(**{"report.txt": b"numbers", "scans.zip": zipped({"1.txt": b"one"})})
    inner = gzip.compress(tarred({"hr/leave.md": b"# Leave"}))
    unpacked = take(zipped({"hr/": b"", "old.tar.gz": inner, "mail.eml": message.as_bytes(), "note.txt.xz": b"no"}))
    assert contents(unpacked) == {
        "old.tar.gz/hr/leave.md": b"# Leave",
        "mail.eml": message.as_bytes(),
        "mail.eml/report.txt": b"numbers",
        "mail.eml/scans.zip/1.txt": b"one",
        "note.txt.xz": b"no",
    }
    assert unpacked.warnings == ()


def test_a_packed_file_is_named_without_its_suffix(take: Unpack) -> None:
    assert contents(take(lzma.compress(b"words"), "notes.md.xz")) == {"notes.md": b"words"}


def test_attachments_of_forwarded_messages_count_and_pictures_of_the_body_do_not(take: Unpack) -> None:
    outer = mail(**{"a.txt": b"outer"})
    outer.add_attachment(mail(**{"a.txt": b"inner"}))
    outer.add_attachment(b"logo", "image", "png", filename="logo.png", cid="<logo>")
    outer.add_attachment(b"signed", "application", "pkcs7-signature", filename="smime.p7s")
    assert contents(take(outer.as_bytes())) == {"a.txt": b"outer", "a (2).txt": b"inner"}


def test_a_mailbox_has_a_folder_for_each_message(take: Unpack) -> None:
    box = b"".join(
        b"From a@example.com Mon Jul 20 01:01:07 2015\n" + each.as_bytes().replace(b"\r", b"") + b"\n"
        for each in (mail(**{"a.txt": b"1"}), mail(), mail(**{"a.txt": b"3"}))
    )
    assert contents(take(box)) == {"1/a.txt": b"1", "3/a.txt": b"3"}


def test_names_cannot_lead_elsewhere(take: Unpack) -> None:
    names = ["../../etc/passwd", "/etc/passwd", "C:\\etc\\passwd", "a\u202efdp.txt", "a\x07.txt", "..", "__MACOSX/x"]
    unpacked = take(zipped({name: name.encode() for name in names}))
    assert [part.name for part in unpacked.parts] == [
        "etc/passwd",
        "etc/passwd (2)",
        "etc/passwd (3)",
        "afdp.txt",
        "a.txt",
        "unnamed",
    ]


@given(st.text())
def test_a_cleaned_name_is_a_short_relative_path(name: str) -> None:
    cleaned = clean_name(name)
    segments = cleaned.split("/")
    assert not {"", ".", ".."} & set(segments)
    assert cleaned.isprintable() or " " in cleaned or any(char.isspace() for char in cleaned)
    assert 0 < len(cleaned) <= MAX_NAME_CHARS
    assert clean_name(cleaned) == cleaned


def test_links_and_sparse_files_are_left_out(take: Unpack) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "a"), (tarfile.CHRTYPE, "")):
            info = tarfile.TarInfo("link")
            info.type, info.linkname = kind, target
            archive.addfile(info)
        info = tarfile.TarInfo("holes")
        info.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 40), "GNU.sparse.name": "holes"}
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    assert take(buffer.getvalue()) == Unpacked(())


def test_what_unfolds_too_far_is_refused(take: Unpack) -> None:
    with pytest.raises(DocumentError) as caught:
        take(gzip.compress(bytes(50 << 20)))
    assert caught.value.code == "too_large"


def test_a_bomb_inside_costs_itself_alone(take: Unpack) -> None:
    bomb = gzip.compress(bytes(50 << 20))
    ballast = bytes(range(256)) * 4096
    unpacked = take(tarred({"a.txt": b"before", "bomb.gz": bomb, "ballast": ballast, "b.txt": b"after"}))
    assert [part.name for part in unpacked.parts] == ["a.txt", "ballast", "b.txt"]
    (warning,) = unpacked.warnings
    assert warning.startswith("bomb.gz: This file unpacks into more than is allowed.")


@pytest.mark.parametrize("limits", [{"max_members": 3}, {"max_expanded_bytes": 2000}])
def test_limits_count_what_is_in_archives_inside(take: Unpack, limits: dict[str, int]) -> None:
    inner = zipped({"1": bytes(500), "2": bytes(500)})
    with pytest.raises(DocumentError) as caught:
        take(tarred({"a.zip": inner, "b.zip": inner, "c.zip": inner}), **limits)
    assert caught.value.code == "too_large"


def test_archives_in_archives_end_at_the_depth_limit(take: Unpack) -> None:
    data = b"deep"
    for _ in range(4):
        data = zipped({"a": data, "near.txt": b"near"})
    unpacked = take(data, max_depth=3)
    assert [part.name for part in unpacked.parts] == ["a/a/near.txt", "a/near.txt", "near.txt"]
    assert unpacked.warnings == ("a/a/a: Archives lie more than 3 deep in each other.",)


def test_what_is_damaged_costs_no_more_than_itself(take: Unpack) -> None:
    archive = bytearray(zipped({"a.txt": b"first", "b.txt": b"second"}))
    archive[archive.index(b"a.txt") + 5] ^= 0xFF
    unpacked = take(bytes(archive))
    assert contents(unpacked) == {"b.txt": b"second"}
    assert unpacked.warnings[0].startswith("a.txt: This archive is damaged.")


def misplaced(name: str, offset: int) -> bytes:
    """A zip whose directory says that its second file, `name`, lies at `offset`. Source: APPNOTE 4.3.12, 4.5.3."""
    data = bytearray(zipped({"good.txt": b"good", name: b"bad"}))
    entry, end = data.rindex(b"PK\1\2"), data.rindex(b"PK\5\6")
    place = struct.pack("<HHQ", 1, 8, offset)
    struct.pack_into("<H", data, entry + 30, len(place))
    struct.pack_into("<I", data, entry + 42, 0xFFFFFFFF)
    struct.pack_into("<I", data, end + 12, struct.unpack_from("<I", data, end + 12)[0] + len(place))
    return bytes(data[:end] + place + data[end:])


@pytest.mark.parametrize("offset", [1 << 20, 1 << 62, (1 << 63) - 1, (1 << 64) - 1])
def test_a_place_that_no_file_has_is_damage_and_costs_its_member_alone(take: Unpack, offset: int) -> None:
    archives = {"members.zip": misplaced("bad.txt", offset), "type.zip": misplaced("mimetype", offset)}
    unpacked = take(zipped({"a.txt": b"before", **archives, "b.txt": b"after"}))
    assert [part.name for part in unpacked.parts] == ["a.txt", "members.zip/good.txt", "type.zip", "b.txt"]
    (warning,) = unpacked.warnings
    assert warning.startswith("members.zip/bad.txt: This archive is damaged.")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space"), OSError(errno.EIO, "I/O error"), MemoryError()])
def test_what_disk_and_memory_do_is_not_called_damage(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, refusing_damage():
        raise error
    assert caught.value is error


def test_a_torn_tar_gives_what_is_left(take: Unpack, tmp_path: Path) -> None:
    torn = tarred({"a.txt": b"first", "b.txt": bytes(4000)})[:3000]
    unpacked = take(torn)
    assert contents(unpacked) == {"a.txt": b"first"}
    assert len(unpacked.warnings) == 2
    canonical = parse(tmp_path / "blob", "torn.tar")
    assert canonical.text == "a.txt (5 bytes)\nb.txt (4,000 bytes)"


def test_an_archive_reads_as_the_list_of_its_members(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(zipped({"hr/leave.md": b"# Leave", "hr/größe.txt": b""}))
    canonical = parse(path, "hr.zip")
    assert canonical.text == "hr/leave.md (7 bytes)\nhr/größe.txt (0 bytes)"
    assert canonical.media_type in CONTAINERS
    assert canonical.metadata == {"members": 2}


def test_other_files_have_no_parts(take: Unpack) -> None:
    assert take(b"# Title", "a.md") == Unpacked(())


async def test_a_child_unpacks(tmp_path: Path) -> None:
    path, into, expected = tmp_path / "file", tmp_path / "into", tmp_path / "expected"
    into.mkdir()
    expected.mkdir()
    path.write_bytes(zipped({"a.txt": b"a", "b.zip": zipped({"c.txt": b"c"})}))
    pool = Children()
    unpacked = await pool.unpack(path, "file.zip", into)
    await pool.close()
    assert contents(unpacked) == contents(unpack(path, "file.zip", Limits(), expected))
    assert all(part.path.parent == into for part in unpacked.parts)
