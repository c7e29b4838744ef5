"""What a folder in the layout of sentence-transformers says of its model, read without loading it.

Layout: https://sbert.net/docs/sentence_transformer/usage/custom_models.html
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from indexes.embedders.tokenizer import FolderTokenizer
from indexes.errors import SettingsError
from indexes.manifest import EmbeddingSpec


def read_spec(folder: Path, name: str, revision: str) -> EmbeddingSpec:
    """The spec of the model in `folder`. Reads all weights once, to hash them: about 0.1 s for 100 MB.

    `max_tokens` is what is left for a text: the model's limit less its special tokens and the document prefix.
    Raises SettingsError, naming the file, where the folder is not a model that can be used.
    """
    modules = [folder / module["path"] for module in _read(folder / "modules.json")]
    parts = [part for part in (_read_if_there(path / "config.json") for path in modules[1:]) if part]
    tokenizer = FolderTokenizer(folder)
    prompts = _read_if_there(folder / "config_sentence_transformers.json").get("prompts") or {}
    document_prefix = prompts.get("document") or prompts.get("passage") or prompts.get("corpus") or ""
    reserved = tokenizer.special_tokens + len(tokenizer.offsets(document_prefix))
    return EmbeddingSpec(
        name=name,
        revision=revision,
        weights=hash_weights(folder),
        dimension=_dimension(parts, folder),
        max_tokens=_sequence_limit(folder) - reserved,
        pooling=_pooling(parts),
        query_prefix=prompts.get("query") or "",
        document_prefix=document_prefix,
    )


def hash_weights(folder: Path) -> str:
    """SHA-256 of the safetensors file, or of all of them in the order of their names. Pickled weights are refused."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise SettingsError(f"{folder} has no *.safetensors file: other formats of weights can run code when loaded.")
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _dimension(parts: list[dict[str, Any]], folder: Path) -> int:
    # The last module that changes the width decides: a dense layer's out_features, else the pooling's own width.
    for part in reversed(parts):
        for key in ("out_features", "embedding_dimension", "word_embedding_dimension"):
            if key in part:
                return int(part[key])
    raise SettingsError(f"No module of {folder} says its embedding dimension: add a pooling module.")


def _pooling(parts: list[dict[str, Any]]) -> str:
    for part in parts:
        if "pooling_mode" in part:
            mode = part["pooling_mode"]
            return mode if isinstance(mode, str) else "+".join(mode)
        on = [key for key, value in part.items() if key.startswith("pooling_mode_") and value is True]
        if on:
            return "+".join(key.removeprefix("pooling_mode_").removesuffix("_tokens") for key in on)
    return "none"


def _sequence_limit(folder: Path) -> int:
    limit = _read_if_there(folder / "sentence_bert_config.json").get("max_seq_length")
    limit = limit or _read_if_there(folder / "tokenizer_config.json").get("model_max_length")
    positions = _read(folder / "config.json").get("max_position_embeddings")
    limits = [int(value) for value in (limit, positions) if value]
    if not limits:
        raise SettingsError(f"{folder} does not say how many tokens the model reads: set max_seq_length.")
    return min(limits)


def _read_if_there(path: Path) -> dict[str, Any]:
    return _read(path) if path.is_file() else {}


def _read(path: Path) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{path} cannot be read ({error}): give the folder of a model saved by sentence-transformers."
        ) from error
