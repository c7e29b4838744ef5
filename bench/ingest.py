"""Ingestion by a real service: its speed beside the bare embedder, its memory, and that nothing is embedded twice.

    python -m bench.ingest --data ../shared/data [--files 40] [--rounds 2] [--part speed|growth]

Fresh services with empty homes get Markdown documents over HTTP as `citewell ingest` sends them. Speed: the same chunk
texts then go through `SentenceTransformer.encode` and through the platform's own embedder, each alone in a fresh
process. All take turns: read the ratios. CPU seconds depend less than wall time on what else the machine does. Growth:
ten times as many files in one service, the same again, and a few of them changed; ends with status 1 where a text was
embedded that had a vector already.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from api.cli.ingestion import Source, collect
from bench.ingest_growth import TIMES, measure_growth
from bench.ingest_speed import measure_speed
from bench.report import print_heading


def _sample(data: Path, count: int) -> Sequence[Source]:
    """Seeded, so that two runs ingest the same."""
    found = collect(sorted((data / "docs-tree").glob("opentelemetry-en*")))
    return random.Random(7).sample(found, min(count, len(found)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--part", choices=("speed", "growth"), help="only this one")
    arguments = parser.parse_args()
    sources = _sample(arguments.data, arguments.files * TIMES)
    if arguments.part != "growth":
        print_heading("Ingestion beside the bare embedder")
        measure_speed(sources[: arguments.files], arguments.rounds)
    if arguments.part != "speed":
        print_heading("Memory, and what is embedded again")
        if not measure_growth(sources):
            sys.exit("FAILED: texts were embedded that had vectors already, or documents failed.")


if __name__ == "__main__":
    main()
