"""What a client does about words: reads them span by span, follows a job, asks for them and corrects them."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from clipseek.api.documents import Cue, Job, Match, Query, Transcript, Video, WordSpan
from clipseek.api.errors import (
    Cancelled,
    DecoderCrashed,
    InvalidRequest,
    MediaMissing,
    NotFound,
    ServerFailed,
    ServerUnreachable,
    UnreadableVideo,
)
from clipseek.client import Client, jobs, words
from clipseek.client.indexing import silent
from clipseek.client.transport import Transport

ID = "a" * 64
NO_ENDPOINT = InvalidRequest("There is no endpoint '/transcript'. There are: /upload, /probe.")
NO_KIND = InvalidRequest("There is no kind of job 'words'. There is: index.")


class Service(Transport):
    """A service without a network that holds one video of five minutes.

    `happens` has what each request for a span does, in turn: an error, or None.
    """

    def __init__(self, *happens, language="", **answers) -> None:
        super().__init__("127.0.0.1", 1, retry_seconds=0)
        self.happens, self.answers = list(happens), answers
        self.video = Video(video_id=ID, title="v.mp4", duration_seconds=300.0, language=language, words="reading")
        self.missing = [0.0, 120.0, 240.0]
        self.sent: list[WordSpan] = []
        self.asked: list[str] = []
        self.keeps = True
        self.on_word_span = lambda: None

    async def post(self, endpoint, doc, *, executor=None, timeout_seconds=None):
        self.asked.append(endpoint)
        await asyncio.sleep(0)
        answer = self.answers[endpoint] if endpoint in self.answers else getattr(self, endpoint[1:])(doc)
        if isinstance(answer, Exception):
            raise answer
        return [answer]

    def videos(self, _):
        return replace(
            self.video,
            words="reading" if self.missing else "read",
            missing_word_start_seconds=list(self.missing),
            missing_word_end_seconds=[min(start + 120.0, 300.0) for start in self.missing],
        )

    def words(self, doc):
        self.sent.append(doc)
        happens = self.happens.pop(0) if self.happens else None
        if isinstance(happens, Exception):
            return happens
        if self.keeps:
            self.missing.remove(doc.start_seconds)
        self.video.word_languages = ["zh"]
        self.on_word_span()
        return replace(doc, stored=True)


def read(service) -> tuple[str, list[float]]:
    """What could not be read, and the seconds that were done at each step."""
    steps: list[float] = []
    return words.read_missing(service, ID, lambda _: None, lambda done, _: steps.append(done)), steps


def starts(service) -> list[float]:
    return [span.start_seconds for span in service.sent]


def test_spans_are_read_in_order_and_tell_the_next_ones_their_language():
    service = Service()
    assert read(service) == ("", [0.0, 120.0, 240.0, 300.0])
    assert [(span.start_seconds, span.end_seconds) for span in service.sent] == [(0, 120), (120, 240), (240, 300)]
    assert [(span.language, span.likely_language) for span in service.sent] == [("", ""), ("", "zh"), ("", "zh")]
    assert all(list(span.sources) == [] for span in service.sent)


def test_a_language_that_somebody_named_goes_with_each_span():
    service = Service(language="en")
    read(service)
    assert {(span.language, span.likely_language) for span in service.sent} == {("en", "en")}


@pytest.mark.parametrize("error", [UnreadableVideo("Damaged."), DecoderCrashed("Damaged."), ServerFailed("Damaged.")])
def test_a_bad_span_does_not_stop_the_others(error):
    happens = [error] * (3 if isinstance(error, ServerFailed) else 1)
    service = Service(None, *happens)
    unread, steps = read(service)
    assert unread == ("The words of 1 of 3 spans could not be read. The first is from 120 to 240 s: Damaged.")
    assert service.missing == [120.0] and steps[-1] == 180.0


def test_where_no_span_can_be_read_the_first_error_is_raised():
    with pytest.raises(UnreadableVideo, match="first"):
        read(Service(UnreadableVideo("first"), UnreadableVideo("second"), UnreadableVideo("third")))


@pytest.mark.parametrize("error", [ServerUnreachable("Away."), MediaMissing("Gone.")])
def test_an_error_that_is_not_about_a_span_ends_the_work(error):
    service = Service(None, error)
    with pytest.raises(type(error)):
        read(service)
    assert starts(service) == [0.0, 120.0]


def test_a_failure_of_the_server_is_tried_again():
    service = Service(ServerFailed("once"), ServerFailed("twice"))
    assert read(service)[0] == "" and starts(service) == [0.0, 0.0, 0.0, 120.0, 240.0]


def test_a_span_that_stays_missing_is_not_read_forever():
    service = Service()
    service.keeps = False
    with pytest.raises(ServerFailed, match="came back unstored"):
        words._read_span(service, service.video, (0.0, 120.0), words.Counter({(0.0, 120.0): 3}))
    assert "could not be read" in read(service)[0] and len(service.sent) < 50


def test_what_is_to_be_read_again_meanwhile_is_read_again():
    service = Service()

    def again():
        if len(service.sent) == 2:
            service.missing = [0.0, 120.0, 240.0]

    service.on_word_span = again
    read(service)
    assert starts(service) == [0.0, 120.0, 0.0, 120.0, 240.0]


@pytest.fixture
def client():
    """A client of a service that is made up, closed at the end."""
    opened = []

    def connect(service):
        client = Client("grpc://127.0.0.1:1")
        client._transport = service
        opened.append(client)
        return client

    yield connect
    for one in opened:
        one.close()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(jobs, "_FIRST_PAUSE_SECONDS", 0.0)


def state(state, done=0.0, **values) -> Job:
    return Job(
        job_id="j",
        kind="words",
        video_id=ID,
        title="v.mp4",
        state=state,
        done_seconds=done,
        total_seconds=300.0,
        **values,
    )


def test_the_service_reads_words_as_a_job(client):
    service = Service()
    service.answers = {"/job": state("waiting", is_new=True), "/jobs": state("done", 300.0, error="One span is bad.")}
    service.missing = []
    steps = []
    video = client(service).read_words(ID, again=True, progress=lambda step: steps.append((step.stage, step.done)))
    assert service.asked == ["/job", "/jobs", "/videos"]
    assert steps == [("words", 0.0), ("words", 300.0)]
    assert video.words == "read" and list(video.word_notes) == ["One span is bad."]


def test_a_job_for_words_says_what_to_read_again_and_in_which_language(client):
    asked = []
    service = Service()
    service.job = lambda doc: asked.append(doc) or state("waiting")
    assert client(service).read_words(ID, again=True, language="zh", wait=False).state == "waiting"
    assert [(doc.kind, doc.video_id, doc.again, doc.language) for doc in asked] == [("words", ID, True, "zh")]


def test_a_service_without_jobs_is_driven(client):
    service = Service(None, UnreadableVideo("Damaged."))
    service.answers = {"/job": Job()}
    steps = []
    video = client(service).read_words(ID, progress=lambda step: steps.append((step.stage, step.done, step.total)))
    assert steps[0] == ("words", 0.0, 300.0) and len(service.sent) == 3
    assert list(video.word_notes) == [
        "The words of 1 of 3 spans could not be read. The first is from 120 to 240 s: Damaged."
    ]


def test_a_cancelled_job_for_words_says_how_to_continue(client):
    service = Service(**{"/job": state("waiting"), "/jobs": state("cancelled")})
    with pytest.raises(Cancelled, match="Have its words read again"):
        client(service).read_words(ID)


@pytest.mark.parametrize("is_read", [True, False])
def test_of_a_job_that_is_not_listed_any_more_the_words_say_how_it_ended(client, is_read):
    service = Service(**{"/job": state("waiting"), "/jobs": NotFound("gone")})
    service.missing = [] if is_read else [0.0]
    if is_read:
        assert client(service).read_words(ID).words == "read"
    else:
        with pytest.raises(Cancelled):
            client(service).read_words(ID)


@pytest.mark.parametrize("language", ["Chinese", "z", "z1", "EN", "zh-TW"])
def test_a_language_that_is_none_is_refused_before_anything_is_sent(client, language, tmp_path):
    service = Service()
    (tmp_path / "v.mp4").write_bytes(b"video")
    for ask in (
        lambda: client(service).read_words(ID, language=language),
        lambda: client(service).index(tmp_path / "v.mp4", language=language),
    ):
        with pytest.raises(InvalidRequest, match=f"language is '{language}', but must be a code such as en or zh"):
            ask()
    assert service.asked == []


def test_a_transcript_and_a_correction(client):
    cue = Cue(video_id=ID, cue_id=7, text="right", edited=True)
    service = Service(**{"/transcript": Transcript(video_id=ID, cues=[cue]), "/correct_cue": cue})
    assert [each.text for each in client(service).transcript(ID).cues] == ["right"]
    assert client(service).correct_cue(ID, 7, "right").edited
    with pytest.raises(InvalidRequest, match="2001 characters, but may have at most 2000"):
        client(service).correct_cue(ID, 7, "x" * 2001)


def test_an_older_server_is_named(client):
    service = Service(**{"/transcript": NO_ENDPOINT, "/correct_cue": NO_ENDPOINT, "/job": NO_KIND})
    for ask in (
        lambda: client(service).transcript(ID),
        lambda: client(service).correct_cue(ID, 1, "x"),
        lambda: client(service).read_words(ID),
    ):
        with pytest.raises(
            InvalidRequest, match=r"^The server at grpc://127.0.0.1:1 is older and has no words. Update"
        ):
            ask()


@pytest.mark.parametrize("reasons", [[], ["heard"]])
def test_an_older_server_that_looks_elsewhere_is_named(client, reasons):
    answer = Query(answered=True, matches=[Match(reasons=reasons)])
    service = Service(**{"/search": answer, "/timeline": answer})
    for ask in (client(service).search, partial(client(service).timeline, ID)):
        assert len(ask("a dog").matches) == 1
        if reasons:
            assert len(ask("a dog", look_in="heard").matches) == 1
        else:
            with pytest.raises(InvalidRequest, match=r"has no words\. Update it, or omit look_in"):
                ask("a dog", look_in="heard")


def test_subtitles_beside_a_video_are_sent_with_it(client, tmp_path, caplog, monkeypatch):
    for name in ("v.mp4", "v.srt", "V.zh.VTT", "v2.srt", "other.srt", "v.txt", "v.large.ass"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "v.empty.srt").touch()
    (tmp_path / "v.folder.srt").mkdir()
    monkeypatch.setattr(words, "MAX_SUBTITLE_BYTES", 10)
    sent = []
    service = Service()
    service.upload = lambda doc: replace(doc, complete=True)
    service.probe = lambda _: replace(service.video, status="ready")
    service.subtitles = lambda doc: sent.append((len(doc.video_id), doc.name, doc.data)) or doc
    client(service).index(tmp_path / "v.mp4", wait=False)
    assert sent == [(64, "V.zh.VTT", b"V.zh.VTT"), (64, "v.srt", b"v.srt")]
    assert caplog.messages == ["The subtitles 'v.large.ass' are left out: they have more than 10 B."]
    sent.clear()
    client(service).index(tmp_path / "v.mp4", wait=False, words=False)
    assert sent == []
    service.subtitles = lambda _: InvalidRequest("There is no endpoint '/subtitles'. There are: /upload.")
    client(service).index(tmp_path / "v.mp4", wait=False)
    assert service.asked.count("/subtitles") == 3  # an older server is asked once


def test_a_video_is_indexed_without_words_or_in_a_language(client, tmp_path):
    asked = []
    (tmp_path / "v.mp4").write_bytes(b"video")
    service = Service()
    service.upload = lambda doc: replace(doc, complete=True)
    service.probe = lambda doc: asked.append(doc) or replace(service.video, status="ready")
    for options in ({}, {"words": False, "language": "zh"}):
        client(service).index(tmp_path / "v.mp4", wait=False, progress=silent, **options)
    assert [(doc.no_words, doc.language) for doc in asked] == [(False, ""), (True, "zh")]
