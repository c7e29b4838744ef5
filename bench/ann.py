"""Dense search of the platform's engines beside the libraries that people would use instead.

    python -m bench.ann --data ../shared/data [--sizes 10000,100000,1000000] [--only 'citewell faiss,hnswlib']

For clustered vectors of each size, and for the real ones that `bench.quality` kept: recall@10 against an exact search,
times, queries a second of one and of sixteen clients, build time, memory and disk; filters that leave 0.1, 1, 10 and
100 %. Every rival is built in a process of its own, one at a time, and served by another; they take turns in several
rounds, so that a busy machine slows all of them. A rival with a knob gets the smallest value that finds 97 %: `effort`.
A million takes more than an hour, most of it building; with `--keep FOLDER` what is built stays there for the next run.
"""

import argparse
import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.ann_child import Child, Measured, Opened, build, child, is_built
from bench.ann_data import SHARES, Collection, clustered, real
from bench.ann_rivals import rivals
from bench.ann_verdict import COMPARED_COLUMNS, GROWTH_COLUMNS, Costs, Turns, compared, growth
from bench.report import print_heading, print_table

_ROUNDS = 3
_CLIENTS = (1, 16)
_COLUMNS = ("", "effort", "recall@10", "p50 ms", "p95 ms", "p99 ms")
_COST_COLUMNS = ("", "build s", "memory MiB", "mapped MiB", "disk MiB", *(f"queries/s, {n} clients" for n in _CLIENTS))


def compare(collection: Collection, names: Sequence[str], folder: Path) -> tuple[dict[float, Turns], dict[str, Costs]]:
    """Prints the tables of one collection; gives the turns for each filter, and what each rival costs."""
    rows = len(collection.levels)
    print(f"{collection.name} vectors, {collection.queries.shape[1]} dimensions, {len(collection.queries)} queries\n")
    seconds = {}
    for name in names:
        seconds[name] = build(name, collection, folder)
        print(f"  built: {name}, {seconds[name]:.1f} s", flush=True)
    with contextlib.ExitStack() as stack:
        children: list[Child] = []
        opened: dict[str, Opened] = {}
        for name in names:
            children.append(stack.enter_context(child(name, collection, folder)))
            opened[name] = children[-1].opened()
            print(f"  open: {name}", flush=True)
        print()
        turns = {share: _turns(children, share) for share in SHARES}
        for share, taken in turns.items():
            _print_turns(share, taken, opened)
        _print_costs(children, opened, seconds)
    costs = {
        name: Costs(
            rows,
            float(np.median([turn.p50_ms for turn in turns[1.0][name]])),
            seconds[name],
            one.memory_mib,
            one.disk_mib,
        )
        for name, one in opened.items()
    }
    return turns, costs


def _turns(children: Sequence[Child], share: float) -> Turns:
    turns: Turns = {one.name: [] for one in children}
    for _ in range(_ROUNDS):
        for one in children:
            if measured := one.measure(share):
                turns[one.name].append(measured)
    return turns


def _print_turns(share: float, turns: Turns, opened: dict[str, Opened]) -> None:
    print(f"Filter leaves {share:.1%}" if share < 1 else "No filter")
    table = [[name, *_times(taken, opened[name].efforts[share])] for name, taken in turns.items() if taken]
    print_table(_COLUMNS, table)


def _times(taken: Sequence[Measured], effort: int) -> list[object]:
    times = np.concatenate([turn.seconds for turn in taken]) * 1e3
    return [effort or None, taken[0].recall, *(float(np.percentile(times, part)) for part in (50, 95, 99))]


def _print_costs(children: Sequence[Child], opened: dict[str, Opened], seconds: dict[str, float]) -> None:
    rates: dict[str, list[list[float]]] = {one.name: [[] for _ in _CLIENTS] for one in children}
    for _ in range(_ROUNDS):
        for one in children:
            for at, clients in enumerate(_CLIENTS):
                rates[one.name][at].append(one.crowd(clients))
    table = []
    for name, facts in opened.items():
        costs = (seconds[name], facts.anonymous_mib, facts.mapped_mib, facts.disk_mib)
        table.append([name, *costs, *(int(np.median(each)) for each in rates[name])])
    print_table(_COST_COLUMNS, table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="not needed here: for `make bench`")
    parser.add_argument("--cache", type=Path, default=Path(".citewell/bench"), help="where real vectors are kept")
    parser.add_argument("--sizes", default="10000,100000", help="of clustered vectors")
    parser.add_argument("--only", default="", help="names of rivals; empty: all")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--keep", type=Path, help="folder where what is built stays")
    parser.add_argument("--built", action="store_true", help="build nothing: only what an earlier run kept")
    arguments = parser.parse_args()
    print_heading("Dense search, side by side")
    verdicts: list[list[object]] = []
    costs: list[dict[str, Costs]] = []
    for source in _sources(arguments):
        with contextlib.ExitStack() as stack:
            kept = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="citewell-bench-")))
            collection, folder = _collection(source, arguments.queries, kept)
            only = list(filter(None, arguments.only.split(",")))
            names = [name for name in rivals(len(collection.levels)) if not only or name in only]
            if arguments.built:
                names = [name for name in names if is_built(name, folder)]
            turns, cost = compare(collection, names, folder)
        verdicts += [row for share, taken in turns.items() for row in compared(collection.name, share, taken)]
        if isinstance(source, int):
            costs.append(cost)
    print(
        "Our fastest engine, and the fastest peer that finds as much (within 0.01) or 97 %: median ratio of the rounds"
    )
    print_table(COMPARED_COLUMNS, verdicts)
    print("Growth with the number of rows n: fitted exponent b of cost = a n^b, clustered vectors")
    print_table(GROWTH_COLUMNS, growth(costs))


def _sources(arguments: argparse.Namespace) -> list[Path | int]:
    """Real vectors that were kept, then numbers of made-up ones."""
    kept = sorted(arguments.cache.glob("all-MiniLM-L6-v2-*.npz"))[:1]
    return [*kept, *map(int, filter(None, arguments.sizes.split(",")))]


def _collection(source: Path | int, queries: int, kept: Path) -> tuple[Collection, Path]:
    """With the folder for what is built of it."""
    folder = kept / str(source if isinstance(source, int) else source.stem)
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(source, int):
        return clustered(source, queries, folder), folder
    return real(source, queries, folder), folder


if __name__ == "__main__":
    main()
