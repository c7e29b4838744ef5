"""EPUB books: their chapters in reading order. Source: EPUB 3.3, sections 5 (package) and 6 (content)."""

import posixpath
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from lxml import etree

from ingestion.parse import web
from ingestion.parse.container import open_zip, read_xml
from ingestion.parse.draft import Draft, Piece, attributes
from ingestion.parse.encoding import decode_markup
from ingestion.parse.limits import Limits
from ingestion.parse.markup import local


def parse(path: Path, limits: Limits) -> Draft:
    """The chapters that the spine lists, without its navigation."""
    with open_zip(path, limits) as archive:
        package_name = next(read_xml(archive, "META-INF/container.xml").iter("{*}rootfile")).get("full-path", "")
        package = read_xml(archive, package_name)
        chapters = list(_chapters(archive, package, posixpath.dirname(package_name)))
    stated = {local(element): element.text for element in package.iter("{http://purl.org/dc/elements/1.1/}*")}
    metadata = attributes(author=stated.get("creator"), language=stated.get("language"), created=stated.get("date"))
    return Draft(chapters, stated.get("title"), metadata)


def _chapters(archive: zipfile.ZipFile, package: etree._Element, folder: str) -> Iterator[Piece]:
    items = {item.get("id"): item for item in package.iter("{*}item")}
    names = set(archive.namelist())
    for reference in package.iter("{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is None or "nav" in (item.get("properties") or "").split():
            continue
        name = posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        if name in names and "html" in item.get("media-type", "html"):
            yield from web.read(decode_markup(archive.read(name))).pieces
