"""The secret that the processes of one installation share."""

import os
import secrets
import tempfile
from pathlib import Path

from pydantic import SecretStr

from indexes.errors import SettingsError

FILE = "retrieval.key"


def shared_secret(given: SecretStr | None, path: Path) -> str:
    """The secret that was given, or else the one in the file. Whichever process comes first makes the file.

    Raises SettingsError where the file can be neither read nor made.
    """
    if given is not None:
        return given.get_secret_value()
    try:
        if not path.exists():
            _make(path)
        secret = path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"The secret in {path} can be neither read nor made: {error}.") from error
    if not secret:
        raise SettingsError(f"{path} is empty. Remove it, and the next process to start makes a new secret.")
    return secret


def _make(path: Path) -> None:
    """Whole or not at all: a link appears with its content, and fails where another process was first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        Path(fresh).unlink()
