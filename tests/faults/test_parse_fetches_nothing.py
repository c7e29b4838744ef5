"""Documents that name things elsewhere: nobody is asked for them. Where they point to, a server hears nothing."""

import io
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docx
import openpyxl
import pytest
from docx.opc.constants import RELATIONSHIP_TYPE

from ingestion.children import Children


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def web(url: str) -> bytes:
    return f"""<!DOCTYPE html PUBLIC "x" "{url}/x.dtd"><html><head><base href="{url}/">
<link rel="stylesheet" href="a.css">
<meta http-equiv="refresh" content="0;url={url}"><script src="{url}/a.js"></script></head><body><p>Words</p>
<img src="{url}/a.png"><iframe src="{url}/frame"></iframe><object data="{url}/o"></object>
<p style="background: url({url}/b.png)">more</p><video src="{url}/v"></video></body></html>""".encode()


def drawing(url: str) -> bytes:
    return f"""<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">
<style>@import url({url}/a.css);</style><image xlink:href="{url}/a.png"/><use href="{url}/b.svg#x"/>
<text>Words</text></svg>""".encode()


def entities(url: str) -> bytes:
    return f"""<?xml version="1.0"?><?xml-stylesheet href="{url}/a.xsl"?>
<!DOCTYPE r SYSTEM "{url}/r.dtd" [<!ENTITY x SYSTEM "{url}/x"><!ENTITY % p SYSTEM "{url}/p"> %p;]>
<r xmlns:xi="http://www.w3.org/2001/XInclude" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
xsi:noNamespaceSchemaLocation="{url}/r.xsd"><p>Words &x;</p><xi:include href="{url}/i.xml"/></r>""".encode()


def word(url: str) -> bytes:
    document, out = docx.Document(), io.BytesIO()
    document.add_paragraph("Words")
    for kind in (RELATIONSHIP_TYPE.IMAGE, RELATIONSHIP_TYPE.STYLES, RELATIONSHIP_TYPE.HYPERLINK):
        document.part.relate_to(f"{url}/{kind[-5:]}", kind, is_external=True)
    document.save(out)
    return out.getvalue()


def workbook(url: str) -> bytes:
    book, out, changed = openpyxl.Workbook(), io.BytesIO(), io.BytesIO()
    book.active.append(["Words", f'=WEBSERVICE("{url}/w")', f"='[{url}/b.xlsx]S'!A1"])
    book.save(out)
    link = f'<Relationship Id="rIdX" Type="http://x/externalLink" Target="{url}/r" TargetMode="External"/>'
    with zipfile.ZipFile(out) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b"</Relationships>", link.encode() + b"</Relationships>"))
    return changed.getvalue()


def open_document(url: str) -> bytes:
    out = io.BytesIO()
    names = "".join(f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "text"))
    content = f"""<!DOCTYPE x SYSTEM "{url}/o.dtd"><office:document-content{names}><office:body><office:text>
<text:p>Words</text:p><text:section><text:section-source href="{url}/s.odt"/></text:section></office:text></office:body>
</office:document-content>"""
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        archive.writestr("content.xml", content)
    return out.getvalue()


def markdown(url: str) -> bytes:
    return f'Words ![picture]({url}/a.png)\n\n<img src="{url}/b.png">\n\n<{url}/c>'.encode()


def mail(url: str) -> bytes:
    return b"From: a@b.c\nSubject: Words\nContent-Type: text/html\n\n" + web(url)


def restructured(url: str) -> bytes:
    return f"Words\n\n.. image:: {url}/a.png\n\n.. raw:: html\n   :url: {url}/raw\n".encode()


MAKERS = {
    "a.html": web,
    "a.svg": drawing,
    "a.xml": entities,
    "a.docx": word,
    "a.xlsx": workbook,
    "a.odt": open_document,
    "a.md": markdown,
    "a.eml": mail,
    "a.rst": restructured,
}


async def test_nothing_is_asked_for(tmp_path: Path, listener: socket.socket) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    pool = Children()
    for name, make in MAKERS.items():
        path = tmp_path / name
        path.write_bytes(make(url))
        canonical = await pool.parse(path, name)
        assert "Words" in canonical.text, name
        assert "@import" not in canonical.text, name
        with pytest.raises(BlockingIOError):  # Nobody waits to be let in.
            listener.accept()
    await pool.close()
