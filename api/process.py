"""What every server process of ours does with its log and its signals."""

import logging
import signal
import sys

from api.request_id import RequestIdFilter

KEEP_ALIVE_S = 75
"""Longer than clients and proxies keep an idle connection, so that none is closed while it is being used."""


def configure_logs() -> None:
    """One line a record on standard error, with the id of the request it belongs to."""
    handler = logging.StreamHandler()
    handler.addFilter(RequestIdFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("httpx", "httpcore", "arq.worker", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def exit_once_drained() -> None:
    """End with status 0 on SIGTERM and SIGINT: at once before uvicorn serves, and after it has drained.

    While it serves uvicorn takes the signals itself, and raises them again when it is done.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
