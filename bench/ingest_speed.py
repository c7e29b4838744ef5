"""Chunks a second of a service, end to end, beside the bare embedder and the platform's own on the same chunks."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from api.cli.ingestion import Source
from bench.embedders import BARE, OURS, Spent, embedded_alone
from bench.ingest_service import ingest_service
from bench.processes import Usage, watched
from bench.report import print_table

SERVICE = "the service, end to end"


@dataclass(frozen=True, slots=True)
class Ingested:
    """One run of a service: the texts of all chunks, their tokens, and what was used."""

    texts: list[str]
    tokens: list[int]
    failed: int
    wall_s: float
    usage: Usage

    @property
    def spent(self) -> Spent:
        """Of all its processes."""
        return Spent(self.wall_s, sum(self.usage.cpu_s.values()))


def measure_speed(sources: Sequence[Source], rounds: int) -> None:
    """Ingest and embed in turns, and print what came out."""
    runs: list[Ingested] = []
    embedded: dict[str, list[Spent]] = {BARE: [], OURS: []}
    for _ in range(rounds):
        runs.append(_ingested(sources))
        for name, taken in embedded.items():
            taken.append(embedded_alone(name, runs[-1].texts))
    tokens = runs[0].tokens
    print(
        f"{len(sources)} Markdown files ({runs[0].failed} failed), {len(tokens)} chunks, "
        f"median {median(tokens):.0f} tokens, medians of {rounds} rounds\n"
    )
    _print_speeds(runs, embedded)
    _print_usage(runs)


def _ingested(sources: Sequence[Source]) -> Ingested:
    """The clock runs from the first upload until all are completed."""
    with ingest_service() as service:
        with watched(service.pid) as usage:
            began = time.perf_counter()
            service.ingest("bench", sources)
            wall_s = time.perf_counter() - began
        chunks = [chunk for of_document in service.chunks("bench").values() for chunk in of_document]
        failed = service.failed("bench")
    return Ingested([one.text for one in chunks], [one.tokens for one in chunks], failed, wall_s, usage)


def _print_speeds(runs: Sequence[Ingested], embedded: dict[str, list[Spent]]) -> None:
    """Chunks a second of each, and the ratios within each round."""
    spent = {**embedded, SERVICE: [run.spent for run in runs]}
    count = len(runs[0].texts)

    def ratio(name: str, base: str, cost: Callable[[Spent], float]) -> float:
        return median(cost(one) / cost(mine) for mine, one in zip(spent[name], spent[base], strict=True))

    rows = []
    for name, taken in spent.items():
        speeds = (count / median(one.wall_s for one in taken), count / median(one.cpu_s for one in taken))
        ratios = (ratio(name, base, lambda one: one.wall_s) for base in (BARE, OURS))
        cpu_ratios = (ratio(name, base, lambda one: one.cpu_s) for base in (BARE, OURS))
        rows.append([name, *speeds, *ratios, *cpu_ratios])
    print_table(["", "chunks/s", "chunks/CPU-s", "of bare", "of ours", "of bare, CPU", "of ours, CPU"], rows)


def _print_usage(runs: Sequence[Ingested]) -> None:
    """CPU seconds by part."""
    parts = sorted({part for run in runs for part in run.usage.cpu_s})
    cpu = {part: median(run.usage.cpu_s.get(part, 0.0) for run in runs) for part in parts}
    whole = sum(cpu.values())
    print_table(
        ["CPU of the service", "s", "share"], [[part, spent, spent / whole] for part, spent in cpu.items() if spent]
    )
