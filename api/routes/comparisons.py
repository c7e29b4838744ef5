"""`/v1/vector_stores/{id}/compare` and `/comparisons`: two index versions on the same questions."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api import presenting_versions as presenting
from api.deps import IdempotencyDep, Reader, StateDep, StoreId, Writer
from api.wire.comparisons import CompareRequest, ComparisonSummary, VersionComparison
from api.wire.pages import Page, PageQuery
from evaluation.gatekeeper import Asked
from indexes.catalog import comparisons, stores
from indexes.catalog.pages import Cursor

router = APIRouter(prefix="/v1/vector_stores/{vector_store_id}", tags=["index versions"])


@router.post("/compare")
async def compare_index_versions(
    state: StateDep, caller: Writer, vector_store_id: StoreId, request: CompareRequest, again: IdempotencyDep
) -> VersionComparison:
    """Put the same questions to two index versions, and keep the report.

    Every question is asked once of each, one after the other: some thousands take minutes.
    """
    asked = Asked(request.golden_set, request.queries)
    async with state.capacity:
        row = await state.gatekeeper.compare(
            caller.project, vector_store_id, request.baseline, request.candidate, asked, again
        )
    return presenting.comparison(row)


@router.get("/comparisons")
async def list_comparisons(
    state: StateDep, caller: Reader, vector_store_id: StoreId, query: Annotated[PageQuery, Query()]
) -> Page[ComparisonSummary]:
    """The comparisons of a store, without their reports."""
    cursor = Cursor(query.limit, query.order, query.after, query.before)
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        page = await comparisons.listing(session, vector_store_id, cursor)
    return Page.of([presenting.comparison_summary(row) for row in page.rows], has_more=page.has_more)


@router.get("/comparisons/{comparison_id}")
async def get_comparison(
    state: StateDep,
    caller: Reader,
    vector_store_id: StoreId,
    comparison_id: Annotated[str, Path(description="Id of the comparison, `cmp_…`.")],
) -> VersionComparison:
    """One comparison: the figures, the verdict, and what got better and worse."""
    async with state.database.read() as session:
        await stores.get(session, caller.project, vector_store_id)
        return presenting.comparison(await comparisons.get(session, vector_store_id, comparison_id))
