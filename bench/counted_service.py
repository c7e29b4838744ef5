"""`citewell serve` that counts the texts its embedding model embeds for documents.

    CITEWELL_HOME=... python -m bench.counted_service serve ...

The count is kept outside what is measured: of the model's own calls, by this process, in a file of the home directory.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from api.cli.main import main
from indexes.embedders.sentence_transformer import SentenceTransformerEmbedder
from indexes.model import Vector

_FILE = "embedded.txt"


def texts_embedded(home: Path) -> int:
    """How many texts the service on `home` has embedded so far."""
    file = home / _FILE
    return sum(map(int, file.read_text("ascii").split())) if file.exists() else 0


def _serve() -> None:
    file = os.open(Path(os.environ["CITEWELL_HOME"]) / _FILE, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    embed = SentenceTransformerEmbedder.embed_documents

    def counted(self: SentenceTransformerEmbedder, texts: Sequence[str]) -> Vector:
        os.write(file, b"%d\n" % len(texts))
        return embed(self, texts)

    with patch.object(SentenceTransformerEmbedder, "embed_documents", counted):
        main()


if __name__ == "__main__":
    _serve()
