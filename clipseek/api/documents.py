"""The documents on the wire. Scripts may send them with a bare `jina.Client`; `clipseek.Client` sends the same. Who
is asking, and for which library, is said in the metadata `authorization: Bearer TOKEN` and `clipseek-library: NAME`.

Times are float seconds from the video's first presentation timestamp, ranges are half-open `[start, end)`, scores lie
in [0, 1]. Each endpoint takes and answers the same kind of document: the answer is the request, filled in.

| endpoint                    | document      | answered by                                            |
|-----------------------------|---------------|--------------------------------------------------------|
| /upload                     | `Upload`      | video_loader (name it as `target_executor`)            |
| /videos                      | `Upload`      | video_loader (name it): the videos below `server_path` |
| /probe                      | `Video`       | the whole Flow: probed, then registered in the store   |
| /index                      | `VideoSpan`   | the whole Flow: decoded, embedded, stored              |
| /search, /timeline          | `Query`       | image_encoder, text_encoder, then indexer              |
| /calibrate                  | `Calibration` | text_encoder, then indexer                             |
| /clip, /thumbnail, /samples | `Clip`, `Thumbnail`, `Video` | video_loader (name it)                  |
| /join                       | `Reel`        | video_loader (name it)                                 |
| /videos                     | `Video`       | indexer                                                |
| /delete                     | `Video`       | the whole Flow: the file, then what was stored of it   |
| /health                     | `Health`      | the whole Flow: each executor adds its own line        |
"""

from clipseek.api.base_document import BaseDoc, DocList

CHUNK_BYTES = 4 * 1024 * 1024  # of an upload and of a clip's download: 100 MB took 2.0 s in chunks of this size


class Upload(BaseDoc):
    """A piece of a file on its way to the loader, or (without `data`) the question which pieces are missing."""

    video_id: str = ""  # SHA-256 of the whole file, lower-case hex: the video's id ever after
    title: str = ""
    size_bytes: int = 0  # of the whole file
    offset: int = 0  # of `data` in the file: a multiple of CHUNK_BYTES
    data: bytes = b""
    server_path: str = ""  # instead of data: a video under a folder that the operator allowed, used where it lies
    # answer
    missing_offsets: list[int] = []
    complete: bool = False


class Video(BaseDoc):
    """A video. `/probe` wants its `video_id`, `/videos` nothing (all) or a `video_id`, `/delete` a `video_id`."""

    video_id: str = ""
    title: str = ""
    size_bytes: int = 0
    duration_seconds: float = 0.0
    width: int = 0  # as shown: rotated, with square pixels
    height: int = 0
    fps: float = 0.0  # average
    codec: str = ""
    container: str = ""
    rotation_degrees: int = 0  # clockwise, already applied to every picture and clip
    has_audio: bool = False
    frames_per_second: float = 0.0  # how often the video is sampled; 0 asks for the server's setting
    sampling: str = ""  # "even", "adaptive" or "keyframes", see docs/sampling.md; "" asks for what it had, or "even"
    # answer
    added_at: float = 0.0  # seconds since the epoch
    status: str = ""  # "indexing" until every span is stored, then "ready"
    frames: int = 0  # stored
    missing_start_seconds: list[float] = []  # spans to send to /index: `[start, end)`, pairwise
    missing_end_seconds: list[float] = []
    model_id: str = ""
    picture_width: int = 0  # what the model looks at; copy these three into each VideoSpan
    picture_height: int = 0
    picture_fit: str = ""  # "squash" or "pad"
    picture_fill: list[int] = []  # colour of the padding, RGB
    shot_start_seconds: list[float] = []  # where each shot begins; `/videos` with a `video_id` answers it


class VideoSpan(BaseDoc):
    """The part `[start_seconds, end_seconds)` of a video on its way through the chain."""

    video_id: str = ""
    start_seconds: float = 0.0
    end_seconds: float = 0.0
    frames_per_second: float = 1.0
    sampling: str = "even"
    picture_width: int = 0
    picture_height: int = 0
    picture_fit: str = "squash"
    picture_fill: list[int] = []
    # filled by the loader, emptied by the image encoder
    pictures: bytes = b""  # uint8 [frames, picture_height, picture_width, 3], RGB
    # filled by the loader
    pts_seconds: list[float] = []
    cut_seconds: list[float] = []  # times of the frames in `[start_seconds, end_seconds)` that begin a new shot
    blank: list[bool] = []  # of each frame, whether there is nothing to see in it; empty: of none
    # filled by the image encoder, emptied by the indexer
    embeddings: bytes = b""  # float16 [frames, dimensions], unit rows
    dimensions: int = 0
    model_id: str = ""
    frames_encoded: int = 0  # stays: how many the model looked at; the others look like one of these
    # answer: proof of work
    stored: bool = False
    frames: int = 0


class Match(BaseDoc):
    """A segment as an answer."""

    video_id: str = ""
    title: str = ""
    start_seconds: float = 0.0
    end_seconds: float = 0.0
    score: float = 0.0  # in [0, 1]
    peak_seconds: float = 0.0


class QueryPart(BaseDoc):
    """One thing to look for, or with a negative weight to avoid: a text, an image, or a moment of an indexed video."""

    text: str = ""
    image: bytes = b""  # the content of a JPEG, PNG, WebP, GIF, BMP or TIFF file; emptied once it is embedded
    video_id: str = ""  # with at_seconds: what is seen there
    at_seconds: float = 0.0
    weight: float = 1.0  # its share beside the other parts; below 0: to be avoided
    title: str = ""  # what messages call it, e.g. the image's file name
    # filled by the encoders, emptied by the indexer
    embedding: list[float] = []
    curve_embedding: list[float] = []  # to find moments in a video; empty: the same
    model_id: str = ""
    zero_cosine: float = 0.0  # of a text, where its relevance is 0 and 1; see clipseek/api/score_scale.py
    one_cosine: float = 0.0  # equal to zero_cosine: a picture, not a text
    above_background: bool = False


class Query(BaseDoc):
    """What to look for and where. `/search` answers it with matches, best first; `/timeline` wants exactly one of
    `video_ids` and adds the score curve of that video.

    At least one part must have a weight above 0. A number that is 0 and a list that is empty ask for the default.
    """

    text: str = ""  # short for one part with this text and weight 1, beside `parts`
    parts: DocList[QueryPart] = DocList[QueryPart]()
    top_k: int = 5
    offset: int = 0  # matches (videos where grouped) to leave out at the front: those of the pages before
    video_ids: list[str] = []  # empty: the whole library
    start_seconds: float = 0.0  # look only at `[start_seconds, end_seconds)` of each video; end 0: to its end
    end_seconds: float = 0.0
    least_score: float = 0.0  # withhold matches below this instead of the model's own cut-off
    all_matches: bool = False  # withhold nothing (but what is below `least_score`)
    group_by_video: bool = False  # matches of one video follow one another, best first, videos by their best match;
    # top_k and offset count videos then
    minimum_seconds: float = 0.0  # of a match's length
    maximum_seconds: float = 0.0
    padding_seconds: float = 0.0  # added at both ends of a match
    per_video: int = 0  # matches of one video at most
    strategy: str = ""  # how curves are divided into matches, by its name in docs/quality.md
    # filled by the text encoder with what `text` means, emptied by the indexer
    embedding: list[float] = []
    curve_embedding: list[float] = []
    model_id: str = ""
    zero_cosine: float = 0.0
    one_cosine: float = 0.0
    above_background: bool = False
    neutral_embedding: list[float] = []  # the mean of what neutral phrases mean to the model
    # answer
    answered: bool = False
    matches: DocList[Match] = DocList[Match]()
    nothing_matches: bool = False  # said outright: not on this page nor on another
    cut_off: float = 0.0  # the score below which matches were withheld
    withheld: int = 0  # matches below it, in the videos that were looked at
    more: bool = False  # there are matches beyond this page
    warnings: list[str] = []
    videos_searched: int = 0
    frames_searched: int = 0
    # answer of /timeline
    curve_pts_seconds: list[float] = []
    curve_scores: list[float] = []  # of each frame, in [0, 1], comparable with `cut_off` and with the matches' scores
    shot_start_seconds: list[float] = []


class Calibration(BaseDoc):
    """How much more than by default a library's matches need, so that few neutral phrases are answered.

    `reset` asks for the default again.
    """

    answered_share: float = 0.1  # of the neutral phrases that may be answered
    reset: bool = False
    # filled by the text encoder, emptied by the indexer
    phrases: DocList[QueryPart] = DocList[QueryPart]()
    neutral_embedding: list[float] = []
    # answer
    done: bool = False
    phrase_count: int = 0
    answered_before: int = 0  # of them, as it was
    answered: int = 0  # of them, as it is now
    shift: float = 0.0  # of relevance, see executors/faiss_indexer/ranking/relevance.py


class Clip(BaseDoc):
    """A clip to cut, and one piece of its file: ask again with the next `offset` until `size_bytes` have come."""

    video_id: str = ""
    start_seconds: float = 0.0
    end_seconds: float = 0.0
    mode: str = "exact"  # or "copy": no re-encoding, starts at the keyframe at or before the start
    offset: int = 0
    # answer: start and end say what was really cut
    data: bytes = b""
    size_bytes: int = 0
    sha256: str = ""
    suffix: str = ""  # of the file's name: ".mp4", or ".mkv" where a copied codec does not fit MP4


class Reel(BaseDoc):
    """Clips to join to one video, in this order, and one piece of its file: ask on as with a `Clip`."""

    video_ids: list[str] = []
    start_seconds: list[float] = []  # of each
    end_seconds: list[float] = []
    mode: str = "exact"  # as of a `Clip`
    offset: int = 0
    # answer
    data: bytes = b""
    size_bytes: int = 0
    sha256: str = ""
    length_seconds: float = 0.0


class Thumbnail(BaseDoc):
    """One picture of a video."""

    video_id: str = ""
    at_seconds: float = 0.0
    width: int = 320
    # answer
    jpeg: bytes = b""
    pts_seconds: float = 0.0


class Component(BaseDoc):
    """What one executor says of itself."""

    name: str = ""
    ok: bool = True
    facts: dict[str, str] = {}
    warnings: list[str] = []


class Health(BaseDoc):
    """The state of the service: every executor that answered has added its line."""

    check_recall: bool = False  # question: compare what the index finds with all frames; takes seconds
    # answer
    components: DocList[Component] = DocList[Component]()
    down: dict[str, str] = {}  # name of a process that is started again just now -> since when, and why
