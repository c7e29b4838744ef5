"""From the name of a cross-encoder to the folder that holds it, checked. Nothing is downloaded."""

import json
from dataclasses import dataclass
from pathlib import Path

from indexes.embedders.spec import hash_weights
from indexes.errors import SettingsError
from indexes.reranker import RerankerSpec


@dataclass(frozen=True, slots=True)
class CrossEncoderWeights:
    """A cross-encoder that can be loaded: where its files are and what it is.

    `entailment` is None for one that gives one score. One that tells classes of inference apart gives several, of which
    this is the one that counts: how surely its second text follows from its first.
    """

    folder: Path
    spec: RerankerSpec
    entailment: int | None = None


def find(model: str, sha256: str | None) -> CrossEncoderWeights:
    """The cross-encoder in the folder `model`, called as that folder is, or of that name in the cache of the hub.

    Reads all weights once. Raises SettingsError, which says what to do, where it is not there, cannot be used, or its
    weights are not those of `sha256`.
    """
    folder, name = Path(model).expanduser(), model
    if folder.is_dir():
        name = folder.resolve().name  # clients see it, and need not see where it lies
    else:
        folder = _cached(model)
    entailment = _entailment(folder)
    weights = hash_weights(folder)
    if sha256 not in (None, weights):
        raise SettingsError(f"The weights in {folder} have the SHA-256 {weights}, and not that of `rerank.sha256`.")
    return CrossEncoderWeights(folder, RerankerSpec(name, weights), entailment)


def _cached(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError) as error:
        raise SettingsError(
            f"There is no reranker {model!r}: it is neither a folder nor in the cache of the hub, and nothing is "
            "downloaded. Set `rerank.model` to a folder that holds a cross-encoder."
        ) from error


def _entailment(folder: Path) -> int | None:
    """Which of the scores that the model gives to a text says that it follows; None where there is only one score."""
    labels, names = _labels(folder / "config.json")
    if labels == 1:
        return None
    for position, name in names.items():
        if name.casefold() == "entailment":
            return position
    raise SettingsError(
        f"The model in {folder} gives {labels} scores to a text, and none is called entailment. Set `model` to a "
        "cross-encoder with one score, or to one for natural language inference."
    )


def _labels(path: Path) -> tuple[int, dict[int, str]]:
    """How many scores the model gives to a text, which the files say in one of two ways, and what they are called."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        names = {int(position): str(name) for position, name in (config.get("id2label") or {}).items()}
        return int(config.get("num_labels") or len(names) or 2), names  # transformers' own default is 2
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise SettingsError(
            f"{path} cannot be read ({error}): give the folder of a model saved by sentence-transformers."
        ) from error
