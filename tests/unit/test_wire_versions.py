"""What may be asked of index versions and how it is refused, and how versions and reports are shown."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from api import errors as api_errors
from api import presenting_versions as presenting
from api.cli.reports import print_report
from api.wire.comparisons import CompareRequest, Report
from api.wire.golden_sets import GoldenSetCreate
from api.wire.index_versions import AnnChange, IndexVersionCreate, IndexVersionUpdate, LexicalChange, PromoteRequest
from api.wire.snapshots import SnapshotCreate
from api.wire.vector_stores import VectorStoreCreate
from evaluation.thresholds import Thresholds
from indexes.catalog.holdings import Held
from indexes.catalog.stores import Chunks
from indexes.catalog.tables import IndexVersion, VersionState
from indexes.errors import GateFailed
from indexes.manifest import AnnSpec, LexicalSpec

MODELS = {
    "versions": IndexVersionCreate,
    "traffic": IndexVersionUpdate,
    "promote": PromoteRequest,
    "compare": CompareRequest,
    "golden": GoldenSetCreate,
    "snapshots": SnapshotCreate,
    "stores": VectorStoreCreate,
}
CHANGE = {"overlap_10": 0.5, "dense_overlap_10": 0.5, "rank_biased_overlap": 0.25}
MEASURED = {"ndcg_10": 0.75, "recall_10": 1.0, "reciprocal_rank_10": 0.5, "dense_ndcg_10": 0.5}
LOST = {**MEASURED, "ndcg_10": 0.25}
REPORT: dict[str, Any] = {
    "verdict": "failed",
    "reasons": ["nDCG@10 fell [by a lot]."],
    "remarks": ["1 query is judged."],
    "lines": [{"measure": "ndcg_10", "queries": 1, "live": 0.75, "candidate": 0.25, "low": -0.6, "high": -0.4}],
    "worse": [{"id": "leave-1", "query": "How much leave?", "live": MEASURED, "candidate": LOST, **CHANGE}],
    "better": [],
    "unjudged": [{"id": "recorded-1", "query": "And sick leave?", **CHANGE}],
    "trials": {"shadows": 0, "canaries": 0},
    "thresholds": Thresholds().model_dump(),
}


def _app() -> FastAPI:
    app = FastAPI()
    api_errors.install(app)
    for name, model in MODELS.items():

        def route(body: model) -> dict[str, bool]:  # type: ignore[valid-type]
            return {"ok": True}

        app.post(f"/{name}")(route)

    @app.get("/refused")
    async def refused() -> None:
        raise GateFailed("No.", report={"id": "cmp_1", **REPORT})

    return app


APP = _app()


async def send(method: str, path: str, body: str = "") -> Response:
    async with AsyncClient(transport=ASGITransport(APP), base_url="http://test") as client:
        return await client.request(method, path, content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize(
    ("path", "body", "param", "says"),
    [
        ("/versions", '{"model": "x"}', "model", "not a known field"),
        ("/versions", '{"ann": {"m": 1}}', "ann.m", "equal to 4"),
        ("/versions", '{"lexical": {"b": 2}}', "lexical.b", "equal to 1"),
        ("/traffic", '{"canary_share": -0.1}', "canary_share", "equal to 0"),
        ("/promote", '{"force": true, "why": "x"}', "why", "not a known field"),
        ("/compare", "{}", "candidate", "Add it"),
        ("/golden", '{"name": "a/b", "queries": []}', "name", "slash"),
        ("/golden", '{"name": "a", "queries": [{"id": "1", "query": "?"}]}', "queries[0].relevant", "Add it"),
        ("/snapshots", '{"name": "now"}', "name", "what readers see now"),
        ("/stores", '{"gate": {"max_ndcg_loss": 2}}', "gate.max_ndcg_loss", "equal to 1"),
        ("/stores", '{"gate": {"max_p95_ratio": Infinity}}', "gate.max_p95_ratio", "finite"),
    ],
)
async def test_refusals_name_the_field(path: str, body: str, param: str, says: str) -> None:
    refused = await send("POST", path, body)
    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (400, param)
    assert says in error["message"]


async def test_the_gates_refusal_carries_its_report() -> None:
    refused = await send("GET", "/refused")
    assert (refused.status_code, refused.headers["x-should-retry"]) == (409, "false")
    body = refused.json()
    assert (body["error"]["code"], body["error"]["param"]) == ("gate_failed", "index_version")
    assert (body["report"]["id"], body["report"]["worse"][0]["candidate"]["ndcg_10"]) == ("cmp_1", 0.25)


def test_what_is_left_out_is_taken_from_the_live_version() -> None:
    live = LexicalSpec(language="german", k=1.5, average_length=90)
    assert LexicalChange(b=0.5).applied_to(live) == LexicalSpec("german", 1.5, 0.5, 90)
    assert LexicalChange().applied_to(live) == live
    assert AnnChange(m=32).applied_to(AnnSpec(8, 200)) == AnnSpec(32, 200)


def version(**fields: Any) -> IndexVersion:
    defaults: dict[str, Any] = {
        "id": "ixv_1",
        "store_id": "vs_1",
        "state": VersionState.BUILDING,
        "paused": False,
        "manifest": {},
        "manifest_hash": "h",
        "shadow_share": 0.0,
        "canary_share": 0.0,
        "created_at": 1.0,
        "embedded": 0,
        "reused": 0,
        "build_s": 0.0,
    }
    return IndexVersion(**{**defaults, **fields})


def test_the_estimate_is_by_the_speed_so_far() -> None:
    # 40 chunks in 10 s of work; 30 documents of 4 chunks are left; half of the time is rest: 30 * 4 / 4 / 0.5.
    held, of_store = Held(files=10, chunks=40, wanted=40), Chunks(160, 0)
    built = version(embedded=30, reused=10, build_s=10.0)
    shown = presenting.index_version(built, held, of_store, build_share=0.5)
    assert (shown.progress.done, shown.progress.total, shown.progress.eta_s) == (10, 40, 60.0)
    assert (shown.counts.embedded, shown.counts.reused) == (30, 10)
    for unknown in (version(), version(embedded=30, build_s=1.0, paused=True), version(state=VersionState.READY)):
        assert presenting.index_version(unknown, held, of_store, build_share=0.5).progress.eta_s is None


def test_the_first_version_counts_what_its_files_cost() -> None:
    first = version(state=VersionState.RETIRED, promoted_at=1.0)
    shown = presenting.index_version(first, Held(2, 9, 2), Chunks(total=9, reused=4), build_share=0.5)
    assert (shown.counts.chunks, shown.counts.embedded, shown.counts.reused) == (9, 5, 4)


def test_a_report_is_printed_with_what_got_worse(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(Report.model_validate(REPORT), limit=5)
    printed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "ndcg_10 1 0.750 0.250 -0.600 to -0.400" in printed
    assert "Verdict: failed." in printed and "- nDCG@10 fell [by a lot]." in printed
    assert "0.750 0.250 leave-1 How much leave?" in printed
    unjudged = {**REPORT, "worse": [], "verdict": "insufficient"}
    print_report(Report.model_validate_json(json.dumps(unjudged)), limit=5)
    assert "recorded-1" in capsys.readouterr().out
