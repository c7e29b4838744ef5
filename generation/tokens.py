"""Counting tokens as a model does, with the tokenizer in its folder."""

from pathlib import Path

from generation.budget import CountTokens
from indexes.errors import SettingsError


def counter(folder: Path) -> CountTokens:
    """Counts with `tokenizer.json`, the format of Hugging Face's `tokenizers`. Raises SettingsError where none is."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json" if folder.is_dir() else folder
    if not path.is_file():
        raise SettingsError(f"generation.llms: {path} is not there. Name the folder that holds `tokenizer.json`.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more exact
        raise SettingsError(f"generation.llms: {path} is no tokenizer: {error}.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
