"""What every engine refuses, in the same words."""

from indexes.errors import InvalidRequest, ManifestMismatch, NotFound
from indexes.manifest import Manifest
from indexes.model import Vector


def require_dimension(vector: Vector, dimension: int) -> None:
    """Raises InvalidRequest for a vector that another model made."""
    if vector.shape != (dimension,):
        raise InvalidRequest(f"This index holds vectors of {dimension} numbers; this one has shape {vector.shape}.")


def require_manifest(version_id: str, made_by: object, manifest: Manifest) -> None:
    """Raises ManifestMismatch unless the hash `made_by` is the manifest's (I6)."""
    if made_by != manifest.hash:
        raise ManifestMismatch(
            f"Index version {version_id} was built by manifest {str(made_by)[:12]}, not by {manifest.hash[:12]}. "
            "Build a new version for the new manifest."
        )


def unknown_version(version_id: str) -> NotFound:
    """The version was never made, or it was dropped."""
    return NotFound(f"There is no index version {version_id}.")
