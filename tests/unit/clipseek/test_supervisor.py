"""When a process that died is started again, and when it is left."""

from clipseek.supervisor import Restarts


def test_the_pause_doubles_up_to_half_a_minute():
    restarts = Restarts(most=99)
    pauses = [restarts.pause_after_death(now) for now in range(9)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_minute_of_health_brings_the_first_pause_back():
    restarts = Restarts(most=99)
    assert [restarts.pause_after_death(now) for now in (0, 30, 60, 121, 150)] == [0.5, 1, 2, 0.5, 1]


def test_too_many_deaths_in_ten_minutes_end_it():
    restarts = Restarts(most=2)
    assert [restarts.pause_after_death(now) for now in (0, 300, 599)] == [0.5, 0.5, None]
    spread = Restarts(most=2)
    assert [spread.pause_after_death(now) for now in (0, 300, 601, 902)] == [0.5] * 4
    assert Restarts(most=0).pause_after_death(0) is None
