"""Callers that share threads take turns, however many tasks one of them sends."""

import threading
from concurrent.futures import CancelledError
from functools import partial

import pytest

from executors.machine.fair_queue import FairQueue


@pytest.fixture
def held():
    """A queue of one thread, which is busy until its event is set."""
    queue, free = FairQueue(1, "test"), threading.Event()
    busy = threading.Event()
    queue.submit("first", lambda: (busy.set(), free.wait(30)))
    assert busy.wait(30)
    yield queue, free
    free.set()
    queue.close()


def test_a_flood_of_one_caller_lets_the_others_take_their_turn(held):
    queue, free = held
    done: list[str] = []
    tasks = [queue.submit("flooder", partial(done.append, f"flood {number}")) for number in range(3)]
    tasks += [queue.submit(caller, partial(done.append, caller)) for caller in ("alice", "bob", "alice")]
    free.set()
    for task in tasks:
        task.result(30)
    assert done == ["flood 0", "alice", "bob", "flood 1", "alice", "flood 2"]


def test_results_errors_and_cancelled_tasks(held):
    queue, free = held
    done: list[str] = []
    good, bad = queue.submit("a", lambda: 7), queue.submit("a", lambda: 1 // 0)
    given_up = queue.submit("a", partial(done.append, "given up"))
    last = queue.submit("a", partial(done.append, "last"))
    assert given_up.cancel()
    free.set()
    assert (good.result(30), last.result(30), done) == (7, None, ["last"])
    with pytest.raises(ZeroDivisionError):
        bad.result(30)


def test_closing_finishes_what_is_under_way_and_cancels_the_rest(held):
    queue, free = held
    waiting = queue.submit("a", lambda: 1)
    closing = threading.Thread(target=queue.close)
    closing.start()
    with pytest.raises(CancelledError):
        waiting.result(30)
    assert closing.is_alive()
    free.set()
    closing.join(30)
    assert not closing.is_alive()


def test_what_waits_can_be_refused_while_what_is_under_way_and_what_comes_later_is_done(held):
    queue, free = held
    waiting, given_up = queue.submit("a", lambda: 1), queue.submit("b", lambda: 2)
    assert given_up.cancel()
    queue.refuse_waiting(ValueError("no more"))
    with pytest.raises(ValueError, match="no more"):
        waiting.result(30)
    later = queue.submit("a", lambda: 3)
    free.set()
    assert later.result(30) == 3
