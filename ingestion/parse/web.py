"""HTML: pages, chapters of books, bodies of mails. Nothing is fetched, no script runs: only the given text is read."""

from copy import deepcopy
from pathlib import Path

from lxml import etree, html

from indexes.model import AttributeValue
from ingestion.parse.draft import Draft, attributes
from ingestion.parse.encoding import decode_markup
from ingestion.parse.limits import Limits
from ingestion.parse.web_blocks import blocks

# What a page shows around its content, or never shows.
_NEVER = "//head | //script | //style | //noscript | //template | //iframe | //object | //embed | //svg | //canvas"
_HIDDEN = (
    "//*[@hidden or @aria-hidden='true' or contains(translate(@style, ' ', ''), 'display:none')"
    " or contains(translate(@style, ' ', ''), 'visibility:hidden')"
    " or contains(concat(translate(@style, ' ', ''), ';'), 'font-size:0;')"
    " or contains(concat(translate(@style, ' ', ''), ';'), 'font-size:0px;')"
    " or contains(concat(translate(@style, ' ', ''), ';'), 'opacity:0;')]"
)
_FURNITURE = (
    "//nav | //footer | //button | //select | //dialog | //menu"
    " | //header[not(ancestor::article or ancestor::main)][not(.//h1)]"
    " | //*[contains(concat(' ', @class, ' '), ' noprint ')] | //*[@class='mw-editsection']"
    " | //*[@role='navigation' or @role='banner' or @role='contentinfo' or @role='search']"
)
_FORMS = "//form[not(ancestor::form)]"
_ASIDES = "//*[self::aside or @role='complementary']"
_MAIN_PART = "[self::main or self::article or @role='main']"
_MAIN = f"//*{_MAIN_PART}[not(ancestor::*{_MAIN_PART})]"
# The main part of a page holds at least this share of its text; otherwise it is a frame for something else. Parts that
# are at least this share of the largest are main parts as well.
MAIN_SHARE = 0.4
MENU_LINKS = 8
MENU_LINK_CHARS = 25


def parse(path: Path, limits: Limits) -> Draft:
    """The main content of a page: without navigation, small forms, hidden parts and scripts."""
    return read(decode_markup(path.read_bytes()))


def read(markup: str) -> Draft:
    """As `parse`, for HTML that is already text."""
    root, warnings = _tree(markup)
    if root is None:
        return Draft(())
    title = root.findtext(".//title")
    metadata = _metadata(root)
    _drop(root, _NEVER)
    _drop(root, _HIDDEN)
    content = _main(root)
    _open_layout_tables(content)
    return Draft(list(blocks(content)), title, metadata, warnings)


def _tree(markup: str) -> tuple[html.HtmlElement | None, tuple[str, ...]]:
    """The document and what to tell its owner. libxml2 stops at 2,048 levels, whatever it is told."""
    parser = html.HTMLParser(no_network=True, remove_comments=True, remove_pis=True, huge_tree=True, encoding="utf-8")
    try:
        root = html.document_fromstring(markup.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:  # Nothing but comments or white space.
        return None, ()
    cut = any("Excessive depth" in error.message for error in parser.error_log)
    return root, ("Parts of this page are nested too deeply to be read; they are left out.",) if cut else ()


def _metadata(root: html.HtmlElement) -> dict[str, AttributeValue]:
    stated = {(tag.get("name") or tag.get("property") or "").lower(): tag.get("content") for tag in root.iter("meta")}
    return attributes(
        author=stated.get("author"),
        description=stated.get("description") or stated.get("og:description"),
        keywords=stated.get("keywords"),
        created=stated.get("article:published_time") or stated.get("date"),
        language=root.get("lang"),
    )


def _drop(root: html.HtmlElement, path: str) -> None:
    for element in root.xpath(path):
        if element.getparent() is not None:
            element.drop_tree()


def _main(root: html.HtmlElement) -> html.HtmlElement:
    """`root` without its furniture, or what holds all parts of it that say they are the main ones."""
    whole = deepcopy(root)
    _drop(root, _FURNITURE)
    _drop_asides(root)
    _drop_forms(root)
    _drop_menus(root)
    if not root.text_content().strip():
        return whole
    parts = {part: _length(part) for part in root.xpath(_MAIN)}
    largest = max(parts.values(), default=0)
    if largest < MAIN_SHARE * _length(root):
        return root
    return _around([part for part, length in parts.items() if length >= MAIN_SHARE * largest])


def _around(parts: list[html.HtmlElement]) -> html.HtmlElement:
    """The innermost element that holds all `parts`."""
    first, *others = parts
    above = [{other, *other.iterancestors()} for other in others]
    return next(each for each in (first, *first.iterancestors()) if all(each in held for held in above))


def _length(element: html.HtmlElement) -> int:
    """The characters that `element` shows: white space between them is layout."""
    return len(" ".join(element.text_content().split()))


def _drop_asides(root: html.HtmlElement) -> None:
    """Drop what stands beside the main part, and what is mostly links inside it; cautions and footnotes there stay."""
    for aside in root.xpath(_ASIDES):
        is_inside = bool(aside.xpath(f"ancestor::*{_MAIN_PART}"))
        links = sum(_length(link) for link in aside.iter("a"))
        if aside.getparent() is not None and (not is_inside or 2 * links > _length(aside)):
            aside.drop_tree()


def _drop_forms(root: html.HtmlElement) -> None:
    """Drop forms (a search, a login, a newsletter), unless the page itself is in them, as some servers make pages."""
    forms = root.xpath(_FORMS)
    if sum(map(_length, forms)) < MAIN_SHARE * _length(root):
        for form in forms:
            form.drop_tree()


def _drop_menus(root: html.HtmlElement) -> None:
    """Drop lists that are nothing but many short links: a menu, unless it is most of the page."""
    length = len(root.text_content())
    for menu in root.xpath("//ul | //ol"):
        links = [len(" ".join(link.text_content().split())) for link in menu.iter("a")]
        text = len(" ".join(menu.text_content().split()))
        is_menu = len(links) >= MENU_LINKS and sum(links) < len(links) * MENU_LINK_CHARS
        if is_menu and sum(links) + len(links) >= text and 2 * text < length and menu.getparent() is not None:
            menu.drop_tree()


def _open_layout_tables(root: html.HtmlElement) -> None:
    """Turn tables that only place things on a page into plain sections, so that what they hold keeps its structure."""
    for element in root.xpath(".//table[.//table or .//h1 or .//h2 or .//h3 or not(.//tr[count(td | th) > 1])]"):
        for part in element.xpath("self::* | *[self::tbody or self::thead or self::tr] | */tr | tr/* | */tr/*"):
            part.tag = "div"
