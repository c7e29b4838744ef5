"""What a candidate must reach before it may answer: settings of one store."""

from pydantic import Field

from indexes.settings import Section


class Thresholds(Section):
    """The defaults are meant for golden sets of 20 to 300 queries; README.md says what they let through and stop."""

    min_queries: int = Field(
        20,
        ge=2,
        le=5_000,
        description="Fewest queries that can decide. With fewer judged ones, overlap decides; with fewer of any kind, "
        "nothing can.",
    )
    max_ndcg_loss: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Mean nDCG@10 that the candidate may lose on the golden set: the low end of the interval may not "
        "lie further down.",
    )
    min_overlap: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Without enough judged queries: mean share of the live version's first ten that the candidate's "
        "hold too, above what chance gives. Tells another model from a broken one, never a better from a worse.",
    )
    min_ann_recall: float = Field(
        0.95,
        ge=0,
        le=1,
        description="Mean share of the exact ten nearest chunks that the candidate's approximate search finds.",
    )
    max_p95_ratio: float = Field(
        1.5,
        gt=0,
        description="How many times the live version's 95th percentile of search time the candidate's may be.",
    )
    unnoticed_p95_ms: float = Field(
        100.0, ge=0, description="A 95th percentile of search time that is welcome whatever the live version's is."
    )
    max_size_ratio: float = Field(
        4.0, gt=0, description="How many times the live version's bytes the candidate may take."
    )
    confidence: float = Field(
        0.9,
        ge=0.5,
        le=0.999,
        description="Of every interval. 0.9 leaves a 5 % chance that the truth is below the low end.",
    )
