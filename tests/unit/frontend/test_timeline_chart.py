"""The chart of a timeline draws a video of any length with few points."""

from frontend.logic.timeline_chart import Timeline, thin_curve, thin_times, tick_times


def test_the_highest_of_neighbouring_points_is_kept():
    curve = [(0.0, 0.1), (1.0, 0.9), (2.0, 0.2), (3.0, 0.3), (4.0, 0.0)]
    assert thin_curve(curve, 3) == [(1.0, 0.9), (3.0, 0.3), (4.0, 0.0)]
    assert thin_curve(curve, 5) == curve and thin_curve([], 5) == []


def test_lines_that_would_touch_are_left_out():
    assert thin_times([0.0, 0.5, 1.0, 1.4, 3.0], 1.0) == [0.0, 1.0, 3.0]


def test_the_axis_has_round_times():
    assert tick_times(9.5) == list(range(10))
    assert tick_times(95) == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert tick_times(3 * 3600 + 725) == [0, 1800, 3600, 5400, 7200, 9000, 10800]
    assert tick_times(100 * 3600)[:3] == [0, 36000, 72000]


def test_a_long_video_has_no_more_points_than_the_chart_pixels():
    seconds = [float(place) for place in range(11_525)]
    points = Timeline(11_525.0, seconds, [1.0 if place == 7000 else 0.0 for place in seconds]).points
    assert len(points) <= 1200
    assert [point["time"] for point in points if point["score"] == 1.0] == ["1:56:40.0"]
