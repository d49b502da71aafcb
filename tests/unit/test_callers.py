"""What executors believe of a caller. (That forged parameters are refused is tested against the real ports.)"""

import tracemalloc
from contextlib import nullcontext

import pytest

from clipseek.api.errors import AccessDenied
from executors.flow.callers import LIFETIME_SECONDS, Caller, Used, Verifier, signed

SECRET = "s" * 64


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_caller_is_read_back_once_by_each_executor():
    caller = Caller("alice", "a", server_folders=True, route=("text_encoder", "indexer"))
    parameters = signed(caller, "/search", SECRET, 1000.0)
    first, second = Verifier(SECRET, "indexer", Clock()), Verifier(SECRET, "indexer", Clock())
    assert first.caller(parameters, "/search") == second.caller(parameters, "/search") == caller
    with pytest.raises(AccessDenied):
        first.caller(parameters, "/search")


def test_an_executor_outside_the_route_refuses():
    parameters = signed(Caller("alice", route=("text_encoder", "indexer")), "/search", SECRET, 1000.0)
    with pytest.raises(AccessDenied):
        Verifier(SECRET, "image_encoder", Clock()).caller(parameters, "/search")


def test_a_signature_is_for_one_endpoint():
    parameters = signed(Caller("alice", route=("indexer",)), "/videos", SECRET, 1000.0)
    with pytest.raises(AccessDenied):
        Verifier(SECRET, "indexer", Clock()).caller(parameters, "/delete")


def test_a_signature_ends():
    clock = Clock()
    verifier = Verifier(SECRET, "indexer", clock)
    for age, is_valid in ((LIFETIME_SECONDS, True), (LIFETIME_SECONDS + 1, False)):
        parameters = signed(Caller("alice", route=("indexer",)), "/videos", SECRET, clock.now - age)
        for ask in (verifier.check, verifier.caller):
            with nullcontext() if is_valid else pytest.raises(AccessDenied):
                ask(parameters, "/videos")


def test_a_signature_that_ends_while_it_is_checked_is_not_used():
    """Its nonce may be forgotten by then."""
    times = iter([1000.0])
    verifier = Verifier(SECRET, "indexer", lambda: next(times, 1000.0 + 2 * LIFETIME_SECONDS))
    with pytest.raises(AccessDenied):
        verifier.caller(signed(Caller("alice", route=("indexer",)), "/videos", SECRET, 1000.0), "/videos")


def test_without_a_secret_nobody_is_believed():
    with pytest.raises(AccessDenied):
        Verifier("", "indexer", Clock()).caller(
            signed(Caller("a", route=("indexer",)), "/search", "", 1000.0), "/search"
        )


def test_what_was_used_is_remembered_for_as_long_as_it_is_valid():
    clock = Clock()
    verifier = Verifier(SECRET, "indexer", clock)
    kept = signed(Caller("a", route=("indexer",)), "/x", SECRET, clock.now)
    verifier.caller(kept, "/x")
    for _ in range(2000):
        verifier.caller(signed(Caller("a", route=("indexer",)), "/x", SECRET, clock.now), "/x")
        clock.now += 1.0
        with pytest.raises(AccessDenied):
            verifier.caller(kept, "/x")


def test_numbers_are_new_once_in_any_order():
    used = Used(Clock())
    numbers = [*range(20_000, 0, -3), *range(20_000, 0, -7)]
    new = [number for number in numbers if used.add("a", number)]
    assert sorted(new) == sorted(set(numbers))
    assert used.add("b", 20_000) and not used.add("b", 20_000)


def test_what_was_used_takes_little_memory_and_none_for_ever():
    """As many requests as one caller may send while the first of them is valid."""
    clock = Clock()
    used = Used(clock)
    tracemalloc.start()
    try:
        assert all(used.add("gateway", number) for number in range(180_000))
        taken = tracemalloc.get_traced_memory()[0]
        clock.now += LIFETIME_SECONDS + 2
        used.add("gateway", 180_000)
        assert taken < 100_000 and tracemalloc.get_traced_memory()[0] < 10_000
    finally:
        tracemalloc.stop()
