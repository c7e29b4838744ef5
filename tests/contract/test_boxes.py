"""An app highlights a citation on its page: from the quote in an answer to the lines of the PDF that hold it."""

from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

# PDFium mends what is missing: the table of contents of the file.
SHOWN = b"""BT /F1 12 Tf 72 700 Td (Every traveller books the night train) Tj
0 -20 Td (to Lisbon before the end of June.) Tj
0 -200 Td (Meals are paid for on the way there and on the way back.) Tj ET"""
PDF = b"""%%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj
2 0 obj <</Type/Pages/Kids[4 0 R]/Count 1>> endobj
3 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj
4 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 5 0 R/Resources<</Font<</F1 3 0 R>>>>>> endobj
5 0 obj <</Length %d>>stream
%s
endstream endobj
trailer <</Root 1 0 R>>
""" % (len(SHOWN), SHOWN)


def pdf(*pages: Sequence[str]) -> bytes:
    """A PDF that prints the lines of each page one below the other."""
    made = [
        b"%PDF-1.4\n1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj",
        b"2 0 obj <</Type/Pages/Kids[%s]/Count %d>> endobj"
        % (b" ".join(b"%d 0 R" % (4 + 2 * at) for at in range(len(pages))), len(pages)),
        b"3 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj",
    ]
    for at, lines in enumerate(pages):
        shown = b"BT /F1 12 Tf 72 700 Td 20 TL %s ET" % b" ".join(b"(%s) Tj T*" % line.encode() for line in lines)
        page = b"/MediaBox[0 0 600 800]/Resources<</Font<</F1 3 0 R>>>>"
        made += [
            b"%d 0 obj <</Type/Page/Parent 2 0 R%s/Contents %d 0 R>> endobj" % (4 + 2 * at, page, 5 + 2 * at),
            b"%d 0 obj <</Length %d>>stream\n%s\nendstream endobj" % (5 + 2 * at, len(shown), shown),
        ]
    return b"\n".join([*made, b"trailer <</Root 1 0 R>>\n"])


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, service_class: Any) -> Iterator[httpx.Client]:
    running = service_class(tmp_path_factory.mktemp("boxes") / "home", {"CITEWELL_EMBEDDING__MODEL": "hashing-256"})
    running.start()
    headers = {"Authorization": f"Bearer {running.key}"}
    with httpx.Client(base_url=f"{running.url}/v1", headers=headers, timeout=60) as made:
        yield made
    running.stop()


def attached(client: httpx.Client, name: str, content: bytes) -> tuple[str, str]:
    """The path of a new store and the id of the one file in it, once that is searchable."""
    store = f"/vector_stores/{client.post('/vector_stores', json={'name': 'boxes'}).json()['id']}"
    upload = client.post("/files", data={"purpose": "assistants"}, files={"file": (name, content)})
    file_id: str = upload.json()["id"]
    client.post(f"{store}/files", json={"file_id": file_id})
    while (found := client.get(f"{store}/files/{file_id}").json())["status"] == "in_progress":
        pass
    assert found["status"] == "completed", found
    return store, file_id


def test_a_citation_is_found_on_its_page(client: httpx.Client) -> None:
    store, file_id = attached(client, "travel.pdf", PDF)
    model = f"extractive@{store.rsplit('/', 1)[-1]}"
    answer = client.post("/responses", json={"model": model, "input": "Who books the night train to Lisbon?"}).json()
    cited = answer["output"][-1]["content"][0]["annotations"][0]
    assert cited["quote"] == "Every traveller books the night train to Lisbon before the end of June."
    stretch = {"start": cited["source_start"], "end": cited["source_end"]}
    found = client.get(f"{store}/files/{cited['file_id']}/boxes", params=stretch).json()
    assert found["object"] == "vector_store.file.boxes"
    first, second = found["data"]
    assert first["page"] == second["page"] == cited["page"] == 1
    assert first["left"] == pytest.approx(72, abs=2)
    assert first["top"] < 100 < first["bottom"] <= second["top"] < 120 < second["bottom"] < 130
    assert file_id == cited["file_id"]


def test_a_quote_is_on_its_own_page_where_its_chunk_goes_over_several(client: httpx.Client) -> None:
    pages = (
        ("Every day the canteen opens at noon for all staff.", "It serves soup."),
        ("The porter closes the parking garage at ten in the evening.", "Bicycles are kept in the yard."),
    )
    store, _ = attached(client, "two.pdf", pdf(*pages))
    model = f"extractive@{store.rsplit('/', 1)[-1]}"
    for page, question in enumerate(
        ("When does the canteen open at noon?", "Who closes the parking garage at ten?"), start=1
    ):
        answer = client.post("/responses", json={"model": model, "input": question}).json()
        cited = answer["output"][-1]["content"][0]["annotations"][0]
        stretch = {"start": cited["source_start"], "end": cited["source_end"]}
        boxes = client.get(f"{store}/files/{cited['file_id']}/boxes", params=stretch).json()["data"]
        assert {cited["page"]} == {box["page"] for box in boxes} == {page}
        streamed = client.post("/responses", json={"model": model, "input": question, "stream": True}).text
        assert f'"page":{page},"quote"' in streamed and f'"page":{3 - page},"quote"' not in streamed


def test_a_format_without_pages_has_no_boxes(client: httpx.Client) -> None:
    store, file_id = attached(client, "plain.txt", b"No page, no place on it.")
    assert client.get(f"{store}/files/{file_id}/boxes", params={"start": 0, "end": 9}).json()["data"] == []


@pytest.mark.parametrize("stretch", [{"start": 5, "end": 5}, {"start": -1, "end": 2}, {"start": 1}, {"end": "x"}])
def test_a_stretch_that_makes_no_sense_is_refused(client: httpx.Client, stretch: dict[str, Any]) -> None:
    store = f"/vector_stores/{client.post('/vector_stores', json={'name': 'none'}).json()['id']}"
    refused = client.get(f"{store}/files/file-none/boxes", params=stretch)
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert client.get(f"{store}/files/file-none/boxes", params={"start": 0, "end": 1}).status_code == 404
