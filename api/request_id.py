"""The id of the request that is being answered: known to all code under it, without being passed around."""

import logging
import re
from contextvars import ContextVar

from indexes.ids import Kind, new_id

HEADER = b"x-request-id"
_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_current: ContextVar[str | None] = ContextVar("request_id", default=None)


def begin(offered: str | None) -> str:
    """Set the id of this request: the one the client offers if it is plain and short, else a new one."""
    request_id = offered if offered and _SANE.fullmatch(offered) else new_id(Kind.REQUEST)
    _current.set(request_id)
    return request_id


class RequestIdFilter(logging.Filter):
    """Puts `request_id` on every log record, `-` outside of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Never leaves a record out."""
        record.request_id = _current.get() or "-"
        return True
