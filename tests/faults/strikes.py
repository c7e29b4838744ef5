"""Strikes at seeded random moments while one writer works and readers search: does what was acknowledged hold?"""

import contextlib
import os
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.faults.acknowledged import Client, Ledger, Writer, reading
from tests.faults.installation import Installation
from tests.faults.verdict import Verdict, unfinished, verdict


def withstands(installation: Installation, faults: Sequence[str], strikes: int) -> None:
    """Strike so many times, each fault at least once if there are enough, and fail where anything is wrong afterwards.

    The seed is printed; set FAULT_SEED to repeat a run.
    """
    seed = int(os.environ.get("FAULT_SEED", random.randrange(10**6)))
    print(f"\nseed {seed}")
    dice, ledger = random.Random(seed), Ledger()
    order = [*dict.fromkeys(faults), *(dice.choice(faults) for _ in range(strikes))][:strikes]
    with contextlib.closing(Client(installation.doors[0])) as client:
        store = client.create_store()
        writer = Writer(installation, store, ledger, random.Random(seed + 1))
        with contextlib.closing(writer), reading(installation, store, ledger, seed + 2) as readers:
            _strike_and_work(installation, order, writer, dice)
            stuck = unfinished(client)
        found = verdict(installation, client, ledger, stuck)
    done = f"{writer.operations} writes and deletes, {sum(reader.searches for reader in readers)} searches"
    wrong = [one for reader in readers for one in (*reader.torn, *reader.failed)]
    print(f"{strikes} strikes, {done}, {len(wrong)} wrong; {found}")
    assert found == Verdict(), "\n".join([str(found), *found.lost, *found.doubled, *found.half_visible, *found.stuck])
    assert wrong == [], wrong


def _strike_and_work(installation: Installation, order: Sequence[str], writer: Writer, dice: random.Random) -> None:
    def strike(fault: str) -> None:
        time.sleep(dice.uniform(0.05, 1.5))
        installation.strike(fault, dice)

    with ThreadPoolExecutor(1) as striker:
        for fault in order:
            struck = striker.submit(strike, fault)
            while not struck.done():
                writer.work()
            struck.result()
