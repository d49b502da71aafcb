"""The edges of a clip while a visitor moves them. Edges and limits are (start, end) in seconds."""

STEP_SECONDS = (-0.5, -0.1, 0.1, 0.5)  # of the buttons at each edge
MIN_CLIP_SECONDS = 0.1
_REACH_SECONDS = 10.0  # how far the handles reach beyond the match
_DEFAULT_FPS = 25.0  # where a video does not state its frame rate


def edge_limits(start_seconds: float, end_seconds: float, duration_seconds: float) -> tuple[float, float]:
    """How far the handles reach: some seconds beyond the match, inside the video."""
    last = max(duration_seconds, end_seconds)
    return round(max(start_seconds - _REACH_SECONDS, 0.0), 2), round(min(end_seconds + _REACH_SECONDS, last), 2)


def move_edge(
    edges: tuple[float, float], edge: int, seconds: float, limits: tuple[float, float]
) -> tuple[float, float]:
    """Move the start (`edge` 0) or the end (1). It stops at the limits and before the other edge."""
    start, end = edges
    if edge == 0:
        return round(min(max(start + seconds, limits[0]), end - MIN_CLIP_SECONDS), 2), end
    return start, round(max(min(end + seconds, limits[1]), start + MIN_CLIP_SECONDS), 2)


def separate_edges(edges: tuple[float, float], limits: tuple[float, float]) -> tuple[float, float]:
    """The edges at least the shortest clip apart. The handles of a slider can meet."""
    start, end = edges
    if end - start >= MIN_CLIP_SECONDS:
        return edges
    end = min(start + MIN_CLIP_SECONDS, limits[1])
    return round(max(end - MIN_CLIP_SECONDS, limits[0]), 2), round(end, 2)


def last_frame_seconds(end_seconds: float, fps: float) -> float:
    """A time at which the clip's last frame is on screen: half a frame before its end, which it does not include."""
    return end_seconds - 0.5 / (fps or _DEFAULT_FPS)
