"""The edges of a moment while somebody moves them."""

STEPS = (-0.5, -0.1, 0.1, 0.5)  # seconds, of the buttons at each edge
LEAST_SECONDS = 0.1  # of what is left between the edges
_ROOM_SECONDS = 10.0  # that the handles may go beyond the moment as it was found
_DEFAULT_FPS = 25.0  # where a video does not say


def room(start_seconds: float, end_seconds: float, duration_seconds: float) -> tuple[float, float]:
    """How far the handles go: some seconds beyond the moment, inside the video."""
    last = max(duration_seconds, end_seconds)
    return round(max(start_seconds - _ROOM_SECONDS, 0.0), 2), round(min(end_seconds + _ROOM_SECONDS, last), 2)


def moved(
    edges: tuple[float, float], which: int, by_seconds: float, limits: tuple[float, float]
) -> tuple[float, float]:
    """The edges with the first (0) or the second (1) one moved; it stops at the limits and before the other edge."""
    start, end = edges
    if which == 0:
        return round(min(max(start + by_seconds, limits[0]), end - LEAST_SECONDS), 2), end
    return start, round(max(min(end + by_seconds, limits[1]), start + LEAST_SECONDS), 2)


def apart(edges: tuple[float, float], limits: tuple[float, float]) -> tuple[float, float]:
    """The edges with some picture between them, which the handles of a slider do not see to."""
    start, end = edges
    if end - start >= LEAST_SECONDS:
        return edges
    end = min(start + LEAST_SECONDS, limits[1])
    return round(max(end - LEAST_SECONDS, limits[0]), 2), round(end, 2)


def shown_last(end_seconds: float, fps: float) -> float:
    """When the last picture before an end is on screen: the picture at the end itself is not part of the clip."""
    return end_seconds - 0.5 / (fps or _DEFAULT_FPS)
