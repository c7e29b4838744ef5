"""How a model counts text, from the `tokenizer.json` of its folder alone: loads in milliseconds, without torch."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer as RustTokenizer

from indexes.errors import InvalidRequest, SettingsError


class FolderTokenizer:
    """The tokenizer of a model folder, without truncation, padding or special tokens. Safe from any thread."""

    def __init__(self, folder: Path) -> None:
        """Raises SettingsError where `folder` has no readable `tokenizer.json`."""
        path = folder / "tokenizer.json"
        try:
            self._tokenizer = RustTokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise SettingsError(
                f"{path} cannot be read as a tokenizer: {error}. Give the folder of a sentence-transformers model "
                "with a fast tokenizer."
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @property
    def special_tokens(self) -> int:
        """How many tokens the model adds to each text, such as [CLS] and [SEP]."""
        return self._tokenizer.num_special_tokens_to_add(is_pair=False)

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """(start, end) of each token in code points of `text`. Raises InvalidRequest for a lone surrogate."""
        try:
            return self._tokenizer.encode(text, add_special_tokens=False).offsets
        except TypeError as error:
            raise _not_unicode() from error

    def counts(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text, as `len(offsets(text))`, several times faster."""
        try:
            encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        except TypeError as error:
            raise _not_unicode() from error
        return [len(encoding) for encoding in encodings]


def _not_unicode() -> InvalidRequest:
    return InvalidRequest("The text holds a lone surrogate, which is not a character: send valid Unicode.")
