"""Questions of many threads to a device: one pass for all that wait, to each its own answer, or the error."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from indexes.engines.shared_pass import SharedPass

WAITING = 12


class Device:
    """Row n is at -|query - n|. The first pass lasts until `go`."""

    def __init__(self):
        self.asked, self.go, self.begun = [], threading.Event(), threading.Event()
        self.fails = False

    def answer(self, queries, fetch):
        self.asked.append((len(queries), fetch))
        self.begun.set()
        assert self.go.wait(10)
        if self.fails:
            raise RuntimeError("gone")
        rows = np.arange(100)
        return [rows[np.argsort(np.abs(query[0] - rows))][:fetch] for query in queries]


def crowd(device, ask):
    """One question that keeps the device busy, and more that come meanwhile."""
    shared = SharedPass(device.answer)
    with ThreadPoolExecutor(WAITING + 1) as threads:
        first = threads.submit(ask, shared, 0)
        assert device.begun.wait(10)
        others = [threads.submit(ask, shared, number) for number in range(1, WAITING + 1)]
        while len(shared._waiting) < WAITING:
            time.sleep(0.001)
        device.go.set()
    return [first, *others]


def test_all_that_wait_share_a_pass_and_each_gets_its_own():
    device = Device()
    answers = crowd(device, lambda shared, number: shared.search(np.full(4, number, dtype=np.float32), number % 3 + 1))
    for number, answer in enumerate(answers):
        assert sorted(abs(answer.result() - number)) == sorted(abs(np.arange(100) - number))[: number % 3 + 1]
    assert device.asked == [(1, 1), (WAITING, 3)]


def test_all_of_a_pass_hear_that_it_failed():
    device = Device()
    device.fails = True
    for answer in crowd(device, lambda shared, number: shared.search(np.zeros(4, dtype=np.float32), 1)):
        with pytest.raises(RuntimeError, match="gone"):
            answer.result()
