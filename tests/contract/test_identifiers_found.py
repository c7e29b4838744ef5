"""Exact identifiers are found first among hundreds that share their parts, by words alone and by the whole ranking."""

import random
from collections.abc import Callable, Iterator

from indexes import ids
from indexes.catalog.versions import Version
from indexes.embedders.models import Models
from indexes.engines.exact_index import ExactEngine
from indexes.lexical import Analyser
from indexes.model import Point
from indexes.settings import EmbeddingSettings
from ingestion.defaults import default_manifest
from retrieval.query import Query
from retrieval.ranking import Ranker
from retrieval.settings import SearchSettings

DISTRACTORS = 100
SENTENCES = (
    "The record of {} was changed by the office on Monday.",
    "See {} for what went wrong, and ask the team that owns it.",
    "{} is mentioned in the report of last year, without an explanation.",
)
WORDS = ("user", "order", "file", "name", "path", "list", "node", "cache", "by", "get", "set", "id", "load", "token")

# What is looked for, and how others that share its parts are made.
Maker = Callable[[random.Random], str]
KINDS: dict[str, Maker] = {
    "INV-2231": lambda of: f"INV-{of.randint(2000, 2999)}",
    "ERR_CONN_42": lambda of: "_".join(("ERR", of.choice(("CONN", "READ", "AUTH")), str(of.randint(40, 99)))),
    "v1.2.3": lambda of: "v" + ".".join(str(of.randint(1, 9)) for _ in range(3)),
    "getUserById": lambda of: "get" + "".join(of.choice(WORDS).title() for _ in range(3)),
    "snake_case_name": lambda of: "_".join(of.sample((*WORDS, "snake", "case"), 3)),
    "192.168.0.1": lambda of: f"192.168.{of.randint(0, 1)}.{of.randint(0, 255)}",
    "C++": lambda of: of.choice(("C", "C--", "F#", "C99", "C 17", "C/C", "D++ and C")),
    "C#": lambda of: of.choice(("C", "C__", "F# and C", "C99", "C 17", "C/D")),
    "node.js": lambda of: of.choice(("node", "js node", "vue.js", "node.ts", "js", "next.js node")),
    "src/app/main.py": lambda of: (
        "/".join(of.sample(("src", "app", "lib", "core"), 2)) + of.choice(("/main.js", "/a.py"))
    ),
    "CVE-2024-3094": lambda of: f"CVE-{of.choice((2023, 2024))}-{of.randint(3000, 3999)}",
    "jane.doe@example.com": lambda of: f"{of.choice(('jane', 'john'))}.doe@example.{of.choice(('org', 'net'))}",
}


def corpus() -> Iterator[str]:
    """One sentence of each that is looked for, in the order of `KINDS`, then those of what is not."""
    of = random.Random(5)
    yield from (of.choice(SENTENCES).format(name) for name in KINDS)
    for name, make in KINDS.items():
        others = (make(of) for _ in range(DISTRACTORS * 2))
        yield from (of.choice(SENTENCES).format(o) for o in [one for one in others if one != name][:DISTRACTORS])


async def test_an_identifier_is_found_first(tmp_path):
    models = Models(EmbeddingSettings(), tmp_path)
    manifest = await default_manifest(models)
    embedder, analyser, engine = await models.embedder(manifest.embedding), Analyser(manifest.lexical), ExactEngine()
    texts = list(corpus())
    names = [ids.chunk_id("rev_names", manifest.cut, at) for at in range(len(texts))]
    vectors = await embedder.documents(texts)
    index = engine.create("ixv_names", manifest)
    index.upsert(
        [
            Point(name, f"rev_{at}", vector, analyser.document(text), {})
            for at, (name, text, vector) in enumerate(zip(names, texts, vectors, strict=True))
        ]
    )
    ranker, version = Ranker(engine, models, SearchSettings()), Version("ixv_names", manifest)
    missed = []
    for name, chunk_id in zip(KINDS, names, strict=False):
        for asked in (name, f"What is known about {name}?"):
            by_words = index.lexical(analyser.query(asked), 2)
            by_both = await ranker.ranked(version, (), Query((asked,), limit=2))
            first = {"words": by_words[0].chunk_id, "both": next(iter(by_both.scores))}
            missed += [f"{asked}, by {way}" for way, found in first.items() if found != chunk_id]
    await models.close()
    assert missed == []
