"""Which parts of a page are its content, and which are around it."""

from ingestion.parse import web

SENTENCE = "Employees have thirty days of leave in a year. "
PROSE = f"<h1>Leave</h1><p>{SENTENCE * 20}</p>"


def shown(body: str) -> list[str]:
    return [piece.text.strip() for piece in web.read(f"<html><body>{body}</body></html>").pieces]


def test_a_page_that_lies_in_a_form_is_content_and_a_form_on_a_page_is_not() -> None:
    prose = shown(PROSE)
    skip = "<a href='#m'>Skip to main content</a>"
    assert shown(f"{skip}<form id='aspnetForm'><nav>Home</nav>{PROSE}</form>") == ["Skip to main content", *prose]
    assert (
        shown(f"{skip}{''.join(f'<form><p>{SENTENCE}</p>Add to cart</form>' for _ in range(9))}")[1] == SENTENCE.strip()
    )
    search, newsletter = "<form>Search <input></form>", "<form><h3>Newsletter</h3><label>Your address</label></form>"
    assert shown(search + PROSE + newsletter) == prose


def test_all_large_articles_are_main_and_small_ones_beside_them_are_not() -> None:
    articles = [f"<article><h2>{name}</h2><p>{SENTENCE * many}</p></article>" for name, many in (("A", 20), ("B", 9))]
    teaser = "<section><article>Read this next</article></section>"
    assert shown("".join(articles)) == ["A", (SENTENCE * 20).strip(), "B", (SENTENCE * 9).strip()]
    assert shown(f"<div>{''.join(articles)}</div>{teaser}") == shown("".join(articles))
    assert shown(articles[0] + teaser) == shown(articles[0])
    assert shown(f"<main>{articles[0]}</main>{articles[1]}") == shown("".join(articles)), "in whatever they are"


def test_asides_of_the_main_part_stay_unless_they_are_links() -> None:
    caution = "<aside class='caution'><p>Never unplug it. See <a href='x'>safety</a>.</p></aside>"
    related = "<aside><h4>Related</h4><a href='a'>Unplugging safely</a> <a href='b'>Safety rules</a></aside>"
    beside = "<aside><p>About us: a small firm in Bern.</p></aside><div role='complementary'>Weather: sun</div>"
    page = shown(f"{beside}<main>{PROSE}{caution}{related}</main>")
    assert page == [*shown(PROSE), "Never unplug it. See safety."]
