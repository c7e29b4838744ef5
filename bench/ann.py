"""Dense search of the platform's engines beside the libraries that people would use instead.

    python -m bench.ann --data ../shared/data [--sizes 10000,100000,1000000] [--only 'citewell faiss,hnswlib']

For clustered vectors of each size, and for the real ones that `bench.quality` kept: recall@10 against an exact search,
times, queries a second of one and of sixteen clients, build time, memory and disk; filters that leave 0.1, 1, 10 and
100 %. Every rival is a process of its own, one builds at a time, and they take turns in several rounds, so that a busy
machine slows all of them. A rival with a knob gets the smallest value that finds 97 % (`effort`). A million takes about
an hour, most of it building.
"""

import argparse
import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.ann_child import Built, Child, child
from bench.ann_data import SHARES, Collection, clustered, real
from bench.ann_rivals import rivals
from bench.report import print_heading, print_table

_ROUNDS = 3
_CLIENTS = (1, 16)
_COLUMNS = ("", "effort", "recall@10", "p50 ms", "p95 ms", "p99 ms")
_COST_COLUMNS = ("", "build s", "memory MiB", "mapped MiB", "disk MiB", *(f"queries/s, {n} clients" for n in _CLIENTS))

Growth = dict[str, dict[str, list[tuple[int, float]]]]


def compare(collection: Collection, only: Sequence[str], folder: Path, growth: Growth) -> None:
    """Prints the tables of one collection."""
    rows = len(collection.levels)
    names = [name for name in rivals(rows) if not only or name in only]
    print(f"{collection.name} vectors, {collection.queries.shape[1]} dimensions, {len(collection.queries)} queries\n")
    with contextlib.ExitStack() as stack:
        children, built = [], {}
        for name in names:
            one = stack.enter_context(child(name, collection, folder / name.replace(" ", "-")))
            built[name] = one.built()
            children.append(one)
            print(f"  built: {name}, {built[name].seconds:.1f} s", flush=True)
        print()
        for share in SHARES:
            _filtered(children, built, share, rows, growth)
        _costs(children, built, rows, growth)


def _filtered(children: Sequence[Child], built: dict[str, Built], share: float, rows: int, growth: Growth) -> None:
    turns = {one.name: [one.measure(share) for one in (one,)] for one in children}
    for _ in range(_ROUNDS - 1):
        for one in children:
            turns[one.name].append(one.measure(share))
    table = []
    for name, measured in turns.items():
        taken = [turn for turn in measured if turn]
        if not taken:
            table.append([name, "no filter"])
            continue
        times = np.concatenate([turn.seconds for turn in taken]) * 1e3
        p50, p95, p99 = (float(np.percentile(times, part)) for part in (50, 95, 99))
        table.append([name, built[name].efforts[share] or None, taken[0].recall, p50, p95, p99])
        if share == 1:
            growth.setdefault(name, {}).setdefault("p50", []).append((rows, p50))
    print(f"Filter leaves {share:.1%}" if share < 1 else "No filter")
    print_table(_COLUMNS, [[*row, *[None] * (len(_COLUMNS) - len(row))] for row in table])


def _costs(children: Sequence[Child], built: dict[str, Built], rows: int, growth: Growth) -> None:
    rates: dict[str, list[list[float]]] = {one.name: [[] for _ in _CLIENTS] for one in children}
    for _ in range(_ROUNDS):
        for one in children:
            for at, clients in enumerate(_CLIENTS):
                rates[one.name][at].append(one.crowd(clients))
    table = []
    for name, facts in built.items():
        costs = (facts.seconds, facts.anonymous_mib, facts.mapped_mib, facts.disk_mib)
        table.append([name, *costs, *(int(np.median(each)) for each in rates[name])])
        memory = facts.anonymous_mib + facts.mapped_mib
        for what, value in (("build", facts.seconds), ("memory", memory), ("disk", facts.disk_mib)):
            growth[name].setdefault(what, []).append((rows, value))
    print_table(_COST_COLUMNS, table)


def _exponents(growth: Growth) -> None:
    """The slopes of straight lines through the logarithms: 1 grows as the rows do, 0 not at all."""
    kinds = ("p50", "build", "memory", "disk")
    table = []
    for name, costs in growth.items():
        if all(len(costs.get(kind, ())) > 1 for kind in kinds):
            table.append([name, *(_slope(costs[kind]) for kind in kinds)])
    if table:
        print("Growth with the number of rows n: fitted exponent b of cost = a n^b, clustered vectors")
        print_table(("", *kinds), table)


def _slope(points: Sequence[tuple[int, float]]) -> float:
    sizes, costs = np.log(np.maximum(np.array(points, dtype=float), 1e-3)).T
    return float(np.polyfit(sizes, costs, 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="not needed here: for `make bench`")
    parser.add_argument("--cache", type=Path, default=Path(".citewell/bench"), help="where real vectors are kept")
    parser.add_argument("--sizes", default="10000,100000", help="of clustered vectors")
    parser.add_argument("--only", default="", help="names of rivals; empty: all")
    parser.add_argument("--queries", type=int, default=300)
    arguments = parser.parse_args()
    only = [name for name in arguments.only.split(",") if name]
    print_heading("Dense search, side by side")
    growth: Growth = {}
    for kept in sorted(arguments.cache.glob("all-MiniLM-L6-v2-*.npz"))[:1]:
        with tempfile.TemporaryDirectory(prefix="citewell-bench-") as folder:
            compare(real(kept, arguments.queries, Path(folder)), only, Path(folder), {})
    for size in map(int, filter(None, arguments.sizes.split(","))):
        with tempfile.TemporaryDirectory(prefix="citewell-bench-") as folder:
            compare(clustered(size, arguments.queries, Path(folder)), only, Path(folder), growth)
    _exponents(growth)


if __name__ == "__main__":
    main()
