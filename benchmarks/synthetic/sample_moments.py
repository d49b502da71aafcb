"""The moments of the sample videos: the truth that searches for them are measured by."""

from dataclasses import dataclass

from executors.video_loader.media import sample_videos


@dataclass(frozen=True)
class Moment:
    """What `[start_seconds, end_seconds)` of a sample video shows: the truth that searches are measured by."""

    video: str
    seen: str
    start_seconds: float
    end_seconds: float


MOMENTS = (
    Moment("bikes.mp4", "a white bus from above", 0.0, 1.2),
    Moment("bikes.mp4", "a taxi", 1.2, 3.0),
    Moment("bikes.mp4", "a cyclist waiting behind a tram", 3.0, 5.5),
    Moment("bikes.mp4", "a street behind a fence", 5.5, 7.5),
    Moment("bikes.mp4", "a parked bicycle", 7.5, 9.7),
    Moment("bigbuckbunny.mp4", "a rabbit at its burrow", 0.0, 5.0),
    *(
        Moment(
            sample_videos.PHOTOGRAPHS_VIDEO,
            photograph.seen,
            float(place * sample_videos.SECONDS_PER_PHOTOGRAPH),
            float((place + 1) * sample_videos.SECONDS_PER_PHOTOGRAPH),
        )
        for place, photograph in enumerate(sample_videos.PHOTOGRAPHS)
    ),
)
