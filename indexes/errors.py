"""The one error tree: whatever a part of Citewell refuses or cannot do. `api/errors.py` maps it to HTTP.

CitewellError
├── InvalidRequest        the caller must change the request
├── Unauthenticated       no key, or an unknown one
├── Forbidden             the key may not do this
├── NotFound              no such thing for this caller
├── Conflict              the thing is in another state than the request needs
│   ├── GateFailed        a candidate that the quality gate refuses, with its report
│   └── PromptTestsFailed a prompt whose own test cases fail, with their report
├── TooLarge              over a limit in bytes
├── TooSlow               the client did not keep up
├── Abandoned             nobody waits for the result any more
├── Overloaded            refused now, welcome later
├── Unavailable           a part we depend on does not answer
│   ├── StorageFull       no room left where something must be kept
│   └── IndexDamaged      points that the catalog knows of are lost or unreadable
├── DocumentError         one document cannot be ingested; says what its owner can do
├── ManifestMismatch      an index version opened with another manifest
├── LeaseLost             a worker no longer owns the work it was doing
└── SettingsError         a wrong setting, named
"""

from typing import Any


class CitewellError(Exception):
    """Root of the tree.

    `message` says what is wrong and what to do. `code` is stable and machine-readable. `param` names the request
    field at fault, if one is.
    """

    code = "internal_error"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.param = param


class InvalidRequest(CitewellError):
    """The request can never succeed as it is."""

    code = "invalid_request"


class Unauthenticated(CitewellError):
    """No API key came with the request, or one that is unknown or revoked."""

    code = "invalid_api_key"


class Forbidden(CitewellError):
    """The API key is good, but not for this."""

    code = "forbidden"


class NotFound(CitewellError):
    """There is no such thing, or it belongs to another project: the two cannot be told apart."""

    code = "not_found"


class Conflict(CitewellError):
    """The request contradicts the present state; the message says which."""

    code = "conflict"


class GateFailed(Conflict):
    """The quality gate does not let a candidate pass. `report` is what it saw, as JSON data."""

    code = "gate_failed"

    def __init__(
        self,
        message: str,
        *,
        report: dict[str, Any] | None = None,
        code: str | None = None,
        param: str | None = "index_version",
    ) -> None:
        super().__init__(message, code=code, param=param)
        self.report = report or {}


class PromptTestsFailed(Conflict):
    """A version of a prompt does not pass the prompt's test cases. `report` says which and why, as JSON data."""

    code = "prompt_tests_failed"

    def __init__(
        self,
        message: str,
        *,
        report: dict[str, Any] | None = None,
        code: str | None = None,
        param: str | None = "version",
    ) -> None:
        super().__init__(message, code=code, param=param)
        self.report = report or {}


class TooLarge(CitewellError):
    """More bytes than the limit that the message names."""

    code = "too_large"


class TooSlow(CitewellError):
    """The client kept a place for longer than what it sends is worth."""

    code = "request_timeout"


class Abandoned(CitewellError):
    """The client hung up; its reply reaches nobody."""

    code = "client_closed_request"


class Overloaded(CitewellError):
    """Capacity is taken. `retry_after_s` is when to try again."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(CitewellError):
    """A part that the request needs does not answer; trying again may help."""

    code = "unavailable"


class Deferred(Unavailable):
    """A document waits for others that take as long to read. Not an attempt that failed."""

    code = "parse_deferred"


class OverBudget(Unavailable):
    """A language model has used up what it may take."""

    code = "over_budget"


class StorageFull(Unavailable):
    """There is no room left where something must be kept. An outage: what waits for room goes on once there is some."""

    code = "insufficient_storage"


class IndexDamaged(Unavailable):
    """An index version lost points that the catalog knows of, or they cannot be read: it must be filled again."""

    code = "index_damaged"


class PointsLost(IndexDamaged):
    """It has fewer points than it had; those can be searched."""

    code = "points_lost"


class DocumentError(CitewellError):
    """One document cannot be ingested. The message is a sentence for its owner; trying again cannot help.

    Codes: empty_file, encrypted_file, unsupported_file, invalid_file, no_text_layer, too_large, parse_timeout,
    parse_memory, parse_crashed.
    """

    code = "invalid_file"


class ManifestMismatch(CitewellError):
    """An index version was opened with a manifest that did not build it (invariant I6)."""

    code = "manifest_mismatch"


class LeaseLost(CitewellError):
    """Another worker took this work over, or it was cancelled or deleted: stop and change nothing more."""

    code = "lease_lost"


class SettingsError(CitewellError):
    """A setting has a value that cannot be used; the message names the setting and where it was set."""

    code = "invalid_setting"
