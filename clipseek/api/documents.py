"""The documents on the wire. `clipseek.Client` answers with them; a plain `jina.Client` sends those of clipseek.schema.

The metadata `authorization: Bearer TOKEN` and `clipseek-library: NAME` say who asks, and for which library. Times are
float seconds from the video's first presentation timestamp, ranges are half-open `[start, end)`, scores lie in [0, 1].
Each endpoint takes and answers the same kind of document: the answer is the request, filled in. `question` names the
fields that a caller fills in; the first executor empties the others.
clipseek/api/endpoints.py lists the endpoints with their documents.
"""

from dataclasses import dataclass, field
from typing import Annotated

from clipseek.api.base_document import Document, empty, fields
from clipseek.api.bounds import KnownSeconds, Range, Seconds, SecondsList, Signed, Vector, check_language
from clipseek.api.errors import InvalidRequest
from clipseek.api.limits import INDEX, UNFINISHED
from clipseek.api.score_scale import CUT_OFF

CHUNK_BYTES = 4 * 1024 * 1024  # of an upload and of a clip's download: 100 MB took 2.0 s in chunks of this size
MAX_WEIGHT = 1e6
MAX_PICTURE_SIDE = 4096  # pixels of what a model looks at; the largest models take 1024
MIN_COSINE_SCALE = 1e-3  # of cosines from relevance 0 to 1; those of real models are above .05

Weight = Annotated[float, Range(-MAX_WEIGHT, MAX_WEIGHT)]
Cosine = Annotated[float, Range(-2, 2)]  # or the difference of two cosines
Side = Annotated[int, Range(0, MAX_PICTURE_SIDE)]


@dataclass(kw_only=True)
class Upload(Document):
    """A piece of a file on its way to the loader, or (without `data`) the question which pieces are missing."""

    question = fields("video_id title size_bytes offset data server_path")

    video_id: str = ""  # SHA-256 of the whole file, lower-case hex: the video's id from then on
    title: str = ""
    size_bytes: int = 0  # of the whole file
    offset: int = 0  # of `data` in the file: a multiple of CHUNK_BYTES
    data: bytes = b""
    # instead of data: a video in a folder that the operator allowed, used in place. Answered for a complete video that
    # is used so, if the caller may use these folders
    server_path: str = ""
    # answer
    missing_offsets: list[int] = empty()
    complete: bool = False


@dataclass(kw_only=True)
class Video(Document):
    """A video. `/probe` needs its `video_id`, `/videos` nothing (all) or a `video_id`, `/delete` a `video_id`."""

    question = fields("video_id title frames_per_second sampling stream language no_words model")

    video_id: str = ""
    title: str = ""
    size_bytes: int = 0
    duration_seconds: Seconds = 0.0
    width: int = 0  # as shown: rotated, with square pixels
    height: int = 0
    fps: float = 0.0  # average
    codec: str = ""
    container: str = ""
    rotation_degrees: int = 0  # clockwise, already applied to every picture and clip
    has_audio: bool = False
    frames_per_second: float = 0.0  # how often the video is sampled; 0 asks for the server's setting
    sampling: str = ""  # "even", "adaptive" or "keyframes", see docs/sampling.md; "" asks for what it had, or "even"
    stream: int = 0  # which video track to look at, from 1; 0 asks for the one it had, or the usual one
    language: str = ""  # of its speech, where somebody says so, such as "zh"; "" asks for what it had, or any
    no_words: bool = False  # do not read its words
    model: str = ""  # only of the service's runner: the model to embed it with, if another one answers
    # answer
    added_at: float = 0.0  # seconds since the epoch
    status: str = ""  # "indexing" until every span is stored, then "ready"
    frames: int = 0  # stored
    missing_start_seconds: SecondsList = empty()  # spans to send to /index: `[start, end)`, pairwise
    missing_end_seconds: SecondsList = empty()
    first_seconds: KnownSeconds = 0.0  # when the first picture is shown; -1: not known, an earlier version indexed it
    timecode: str = ""  # source timecode of the first picture, as 10:00:00:00; `;` before the frames: drop-frame
    timecode_rate: str = ""  # frames a second of the timecode, exact: 30000/1001
    model_id: str = ""
    next_model: str = ""  # of `/probe`: the model that the library is changing to; embed the video with it, too
    picture_width: Side = 0  # what the model looks at; copy these four into each VideoSpan
    picture_height: Side = 0
    picture_fit: str = ""  # "squash", "pad" or "crop"
    picture_fill: list[int] = empty()  # colour of the padding, RGB
    shot_start_seconds: SecondsList = empty()  # where each shot begins; only `/videos` with a `video_id` answers it
    notes: list[str] = empty()  # what was left out of it, or is there besides; only `/probe` answers it
    words: str = ""  # "reading" until all its words are stored, then "read"; "" where they are not read
    cues: int = 0  # stored
    word_languages: list[str] = empty()  # of its speech and subtitles, the most frequent first
    word_sources: list[str] = empty()  # where its words come from
    # only `/videos` with a `video_id` answers these
    word_notes: list[str] = empty()  # what could not be read, and why
    missing_word_start_seconds: SecondsList = empty()  # spans to send to /words: `[start, end)`, pairwise
    missing_word_end_seconds: SecondsList = empty()

    def check_together(self) -> None:
        check_language(self.language)


@dataclass(kw_only=True)
class VideoSpan(Document):
    """The span `[start_seconds, end_seconds)` of a video on its way through the chain."""

    question = fields(
        "video_id start_seconds end_seconds frames_per_second sampling model "
        "picture_width picture_height picture_fit picture_fill"
    )

    video_id: str = ""
    start_seconds: Seconds = 0.0
    end_seconds: Seconds = 0.0
    frames_per_second: float = 1.0
    sampling: str = "even"
    model: str = ""  # as of a Video
    picture_width: Side = 0
    picture_height: Side = 0
    picture_fit: str = "squash"
    picture_fill: list[int] = empty()
    # filled by the loader, emptied by the image encoder
    pictures: bytes = b""  # uint8 [frames, picture_height, picture_width, 3], RGB
    # filled by the loader
    pts_seconds: SecondsList = empty()
    cut_seconds: SecondsList = empty()  # times of the frames in `[start_seconds, end_seconds)` that begin a new shot
    blank: list[bool] = empty()  # of each frame, whether there is nothing to see in it; empty: no frame is blank
    # filled by the image encoder, emptied by the indexer
    embeddings: bytes = b""  # float16 [frames, dimensions], unit rows
    dimensions: int = 0
    model_id: str = ""
    frames_encoded: int = 0  # stays: how many frames the model looked at; the others look like one of these
    # answer: proof of work
    stored: bool = False
    frames: int = 0

    def check_together(self) -> None:
        frames = len(self.pts_seconds)
        if len(self.blank) not in (0, frames):
            raise InvalidRequest(f"blank has {len(self.blank)} entries, but pts_seconds has {frames}.")


@dataclass(kw_only=True)
class Cue(Document):
    """One timed line of words. `/correct_cue` takes the `cue_id` of one, as `/transcript` gives it, and its right
    `text`; an empty text removes it.
    """

    question = fields("video_id cue_id text")

    video_id: str = ""
    cue_id: int = 0
    text: str = ""
    # answer
    start_seconds: Seconds = 0.0
    end_seconds: Seconds = 0.0
    source: str = ""  # "subtitle", "speech" or "screen"
    language: str = ""  # of two letters, such as "en" or "zh"; "" where it is not known
    confidence: float = 0.0  # of the reader, in [0, 1]; 1 for subtitles and corrections
    edited: bool = False  # somebody corrected it: a new reading leaves it as it is


@dataclass(kw_only=True)
class WordSpan(Document):
    """The span `[start_seconds, end_seconds)` of a video on its way to its words.

    Lines, sounds and stills belong to the span that they begin in.
    """

    question = fields("video_id start_seconds end_seconds sources language likely_language")

    video_id: str = ""
    start_seconds: Seconds = 0.0
    end_seconds: Seconds = 0.0
    sources: list[str] = empty()  # which to read of "subtitle", "speech" and "screen"; empty: all that the server reads
    language: str = ""  # of the speech, where somebody said so
    likely_language: str = ""  # that of earlier spans: taken where this one leaves it open
    # filled by the loader, emptied by the word reader
    lines: list[Cue] = empty()  # of subtitles
    sound: bytes = b""  # int16 [samples], 16 kHz, one channel: more than the span, so that no sentence is cut
    sound_start_seconds: Seconds = 0.0
    stills: list[bytes] = empty()  # JPEG
    still_start_seconds: SecondsList = empty()  # since when each still's words are there
    still_end_seconds: SecondsList = empty()
    # filled by the word reader, emptied by the indexer
    cues: list[Cue] = empty()  # in order of time
    # float16 [vectors, dimensions], unit rows: what each line means, and what its parts mean, line by line
    embeddings: bytes = b""
    vector_counts: list[int] = empty()  # how many vectors each cue has, at least one
    model_id: str = ""  # of the embeddings
    # answer: proof of work
    stored: bool = False
    cue_count: int = 0
    languages: list[str] = empty()  # of the span's speech and subtitles
    notes: list[str] = empty()  # what could not be read, and why

    def check_together(self) -> None:
        check_language(self.language)
        if not len(self.stills) == len(self.still_start_seconds) == len(self.still_end_seconds):
            raise InvalidRequest(
                f"{len(self.stills)} stills need as many times, but have {len(self.still_start_seconds)} and "
                f"{len(self.still_end_seconds)}."
            )


@dataclass(kw_only=True)
class Subtitles(Document):
    """A file of subtitles to keep with a video; without `data`, the question which are kept."""

    question = fields("video_id name data")

    video_id: str = ""
    name: str = ""  # of the file, such as "talk.en.srt": its suffix tells the format, and it may name the language
    data: bytes = b""  # its content, at most MAX_SUBTITLE_BYTES
    # answer
    names: list[str] = empty()  # of the files that are kept with the video


@dataclass(kw_only=True)
class Transcript(Document):
    """The words of a video."""

    question = fields("video_id")

    video_id: str = ""
    # answer
    title: str = ""
    cues: list[Cue] = empty()  # in order of time
    complete: bool = False  # all of the video has been read


@dataclass(kw_only=True)
class Job(Document):
    """Work on a video that the service does by itself. `/job` files one for a `video_id`, `/jobs` lists the library's
    or describes one by its `job_id`, and `/cancel_job` cancels it.
    """

    question = fields(
        "job_id kind video_id forget again language runner state done_seconds total_seconds frames_encoded error "
        "error_kind error_data"
    )

    job_id: str = ""  # "" in the answer of `/job`: this service has nobody to do the work, so index it yourself
    # "index": index the missing spans of the video; "words": read its words; "model": change the library's model to
    # that in `title`
    kind: str = INDEX
    video_id: str = ""
    forget: bool = False  # with `/cancel_job`: also remove the job from the list
    again: bool = False  # of "words": read all again, and keep corrections
    language: str = ""  # of "words": the language of the speech; "" for what it had, or any
    # filled by the service's runner
    runner: str = ""
    state: str = ""  # "waiting", "running", "done", "failed" or "cancelled"
    done_seconds: Seconds = 0.0  # of the video
    total_seconds: Seconds = 0.0
    frames_encoded: int = 0
    error: str = ""  # why it failed; while it waits, why the last try did
    error_kind: str = ""  # the class of the error, and its data
    error_data: str = ""
    # answer
    library: str = ""
    title: str = ""
    caller: str = ""  # who filed it
    notes: list[str] = empty()  # of a job just filed: as of its video
    is_new: bool = False  # it was filed by this request; else it was unfinished already
    tries: int = 0  # since it last advanced
    created_at: float = 0.0  # seconds since the epoch, as the next three; 0: not yet
    started_at: float = 0.0
    ended_at: float = 0.0
    lease_until: float = 0.0  # of a job that waits: not begun before
    should_yield: bool = False  # for the runner: another caller has waited for long

    def check_together(self) -> None:
        check_language(self.language)

    @property
    def is_unfinished(self) -> bool:
        return self.state in UNFINISHED


@dataclass(kw_only=True)
class Model(Document):
    """A model of a library. `/models` lists those that it has or could use, `/use_model` changes to the one called
    `name`, and `/forget_model` removes the vectors of one that does not answer.
    """

    question = fields("name failed_video_ids")
    internal = fields("failed_video_ids here missing_video_ids")

    name: str = ""  # as in CLIPSEEK_MODEL
    failed_video_ids: list[str] = empty()  # for the service's runner: named last among the missing ones
    # answer
    model_id: str = ""
    state: str = ""  # "answers", "changing" (a job prepares it), "kept", or "available": the library has none of it
    covered_seconds: Seconds = 0.0  # of what the answering model has indexed, how much this one has
    total_seconds: Seconds = 0.0
    job_id: str = ""  # of the job that prepares it
    error: str = ""  # why that failed last
    here: list[str] = empty()  # short names of models on the image encoder's machine; emptied by the indexer
    missing_video_ids: list[str] = empty()  # for the service's runner: what to embed before it can answer


@dataclass(kw_only=True)
class Match(Document):
    """A segment as an answer."""

    video_id: str = ""
    title: str = ""
    start_seconds: Seconds = 0.0
    end_seconds: Seconds = 0.0
    score: float = 0.0  # in [0, 1]
    peak_seconds: Seconds = 0.0
    reasons: list[str] = empty()  # why it matches: "seen", "heard" (said or subtitled) or "written" on screen
    line: str = ""  # the words that match best
    line_start_seconds: Seconds = 0.0
    line_language: str = ""
    line_marks: list[int] = empty()  # the found words in the line: `[start, end)` of characters, pairwise
    by_meaning: bool = False  # the line means what the query says, in other words or another language

    @property
    def is_weak(self) -> bool:
        """Whether the segment is only a candidate: it does not score enough to count as a match."""
        return self.score < CUT_OFF


@dataclass(kw_only=True)
class TextMeaning(Document):
    """What a text or an image means to the model: filled by the encoders, emptied by the indexer."""

    internal = fields("embedding sentence model_id zero_cosine one_cosine above_background neutral_embedding")

    text: str = ""
    embedding: Vector = empty()
    sentence: Vector = empty()  # what a text means to the encoder of sentences, to compare with the words of videos
    model_id: str = ""
    zero_cosine: Cosine = 0.0  # of a text, where its relevance is 0 and 1; see clipseek/api/score_scale.py
    one_cosine: Cosine = 0.0  # equal to zero_cosine: a picture, not a text
    above_background: bool = False

    def check_together(self) -> None:
        zero, one = self.zero_cosine, self.one_cosine
        if 0 < one - zero < MIN_COSINE_SCALE:
            raise InvalidRequest(
                f"zero_cosine {zero:g} and one_cosine {one:g} are too close: they must be equal, or the second larger "
                f"by {MIN_COSINE_SCALE:g} or more."
            )


@dataclass(kw_only=True)
class QueryPart(TextMeaning):
    """One thing to look for, or with a negative weight to avoid: a text, an image, or a moment of an indexed video."""

    question = fields("text image video_id at_seconds weight title")

    image: bytes = b""  # the content of a JPEG, PNG, WebP, GIF, BMP or TIFF file; emptied once it is embedded
    video_id: str = ""  # with at_seconds: what is seen there
    at_seconds: Seconds = 0.0
    weight: Weight = 1.0  # its share beside the other parts; below 0: avoid it
    title: str = ""  # its name in messages, e.g. the image's file name


@dataclass(kw_only=True)
class Query(TextMeaning):
    """What to look for and where. `/search` answers it with matches, best first; `/timeline` needs exactly one of
    `video_ids` and adds the score curve of that video.

    At least one part must have a weight above 0; `text` counts as a part of weight 1. A number that is 0 and a list
    that is empty ask for the default.
    """

    question = fields(
        "text parts look_in top_k offset video_ids start_seconds end_seconds least_score all_matches weaker "
        "group_by_video minimum_seconds maximum_seconds padding_seconds per_video strategy"
    )

    parts: list[QueryPart] = empty()
    look_in: list[str] = empty()  # any of "seen", "heard" and "written"; empty: all. A "phrase" in quotes is looked
    # for in words alone
    top_k: int = 5
    offset: int = 0  # matches (videos where grouped) to skip: those of earlier pages
    video_ids: list[str] = empty()  # empty: the whole library
    start_seconds: Seconds = 0.0  # look only at `[start_seconds, end_seconds)` of each video; end 0: to its end
    end_seconds: Seconds = 0.0
    least_score: float = 0.0  # leave out matches below this score, instead of the default cut-off
    all_matches: bool = False  # withhold nothing (except below `least_score`)
    weaker: int = 0  # where matches do not fill the first page, add so many weaker candidates at most
    group_by_video: bool = False  # put the matches of one video together, videos in order of their best match;
    # top_k and offset count videos then
    minimum_seconds: Seconds = 0.0  # of a match's length
    maximum_seconds: Seconds = 0.0
    padding_seconds: Seconds = 0.0  # added at both ends of a match
    per_video: int = 0  # matches of one video at most; 0: as many as the page has room for
    strategy: str = ""  # how to divide score curves into matches, by its name in docs/quality.md
    # filled by the text encoder, emptied by the indexer
    neutral_embedding: Vector = empty()  # the mean of what neutral phrases mean to the model
    # answer
    answered: bool = False
    matches: list[Match] = empty()
    weaker_matches: list[Match] = empty()  # never in `matches`; of a library two of a video at most
    nothing_matches: bool = False  # neither on this page nor on another
    cut_off: float = 0.0  # the score below which matches are not shown
    withheld: int = 0  # how many weaker ones the pages up to this one would show; ten of a video at most
    more: bool = False  # there are matches beyond this page
    warnings: list[str] = empty()
    videos_searched: int = 0
    frames_searched: int = 0
    # answer of /timeline
    curve_pts_seconds: SecondsList = empty()
    curve_scores: list[float] = empty()  # of each frame, in [0, 1], comparable with `cut_off` and with matches' scores
    shot_start_seconds: SecondsList = empty()


@dataclass(kw_only=True)
class Calibration(Document):
    """Shifts all scores of the library, so that only a few neutral phrases reach 0.5.

    `reset` goes back to the default.
    """

    question = fields("answered_share reset")
    internal = fields("phrases neutral_embedding")

    answered_share: float = 0.1  # of the neutral phrases that may find a match
    reset: bool = False
    # filled by the text encoder, emptied by the indexer
    phrases: list[QueryPart] = empty()
    neutral_embedding: Vector = empty()
    # answer
    done: bool = False
    phrase_count: int = 0
    answered_before: int = 0  # phrases that found a match before
    answered: int = 0  # phrases that find a match now
    at_bound: bool = False  # more than the share find one, because the cut-off may not rise further
    shift: Signed = 0.0  # of relevance, see executors/faiss_indexer/ranking/relevance.py

    def check_together(self) -> None:
        if not self.reset and not 0 < self.answered_share < 1:
            raise InvalidRequest(f"answered_share is {self.answered_share:g}, but must be above 0 and below 1.")


@dataclass(kw_only=True)
class Clip(Document):
    """A clip to cut, and one piece of its file: ask again with the next `offset` until `size_bytes` have come."""

    question = fields("video_id start_seconds end_seconds mode format extras offset")

    video_id: str = ""
    start_seconds: Seconds = 0.0
    end_seconds: Seconds = 0.0
    mode: str = "exact"  # or "copy": no re-encoding, starts at the keyframe at or before the start
    format: str = ""  # the suffix of the file to write, e.g. ".gif"; "" for ".mp4", or ".mkv" if a copy needs that
    extras: bool = True  # keep all sounds, subtitles of text, and chapters
    offset: int = 0
    # answer: start and end of what was really cut
    data: bytes = b""
    size_bytes: int = 0
    sha256: str = ""
    suffix: str = ""  # of the file's name: ".mp4", or ".mkv" where a copied codec does not fit MP4


@dataclass(kw_only=True)
class Reel(Document):
    """Clips to join into one video, in this order, and one piece of its file, piece by piece as with a `Clip`."""

    question = fields("video_ids start_seconds end_seconds mode offset")

    video_ids: list[str] = empty()
    start_seconds: SecondsList = empty()  # of each clip
    end_seconds: SecondsList = empty()
    mode: str = "exact"  # as of a `Clip`
    offset: int = 0
    # answer
    data: bytes = b""
    size_bytes: int = 0
    sha256: str = ""
    length_seconds: Seconds = 0.0

    def check_together(self) -> None:
        counts = len(self.video_ids), len(self.start_seconds), len(self.end_seconds)
        if len(set(counts)) > 1:
            raise InvalidRequest("{} videos, {} starts and {} ends: each clip needs one of each.".format(*counts))


@dataclass(kw_only=True)
class Thumbnail(Document):
    """One picture of a video."""

    question = fields("video_id at_seconds width")

    video_id: str = ""
    at_seconds: Seconds = 0.0
    width: int = 320
    # answer
    jpeg: bytes = b""
    pts_seconds: Seconds = 0.0


@dataclass(kw_only=True)
class Component(Document):
    """The state of one executor."""

    name: str = ""
    ok: bool = True
    facts: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = empty()


@dataclass(kw_only=True)
class Health(Document):
    """The state of the service: every executor that answers adds its component."""

    question = fields("check_recall")

    check_recall: bool = False  # question: compare what the index finds with all frames; takes seconds
    # answer
    components: list[Component] = empty()
    down: dict[str, str] = field(default_factory=dict)  # a process that is being restarted -> since when, and why
