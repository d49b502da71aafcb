"""Words of a real service: read by a job after the pictures, searched, corrected, read again, and deleted.

They are subtitles beside the video, so that no model is needed.
"""

import json
import time
from collections.abc import Callable

import pytest

from benchmarks.synthetic import videos
from clipseek.api.errors import Cancelled, InvalidRequest, InvalidTimeRange, VideoNotFound
from clipseek.client import Client
from clipseek.schema import WordSpan
from tests.flow.conftest import run
from tests.flow.test_indexing_jobs import has_runner

SECONDS = 300  # of the video: three spans of words
DEADLINE_SECONDS = 120
LINES = [
    (10, 13, "We calibrate the optical segment."),
    (130, 132.5, "The interest rates fell again."),
    (250, 254, "最后我们看看这台望远镜。"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of the server with a video and its subtitles."""
    folder = tmp_path_factory.mktemp("talks")
    videos.make(folder / "talk.mp4", frames=SECONDS, fps=1, gop=5)
    blocks = [
        f"{place}\n{_time(start)} --> {_time(end)}\n{text}\n" for place, (start, end, text) in enumerate(LINES, 1)
    ]
    (folder / "talk.srt").write_text("\n".join(blocks), encoding="utf-8")
    return folder


def _time(seconds: float) -> str:
    return f"00:{int(seconds) // 60:02d}:{int(seconds) % 60:02d},{round(seconds % 1 * 1000):03d}"


@pytest.fixture(scope="module")
def server(launch, tmp_path_factory, tiny_model, folder):
    options = {"CLIPSEEK_WORDS": "subtitles", "CLIPSEEK_MEDIA_ROOTS": str(folder), "CLIPSEEK_MODEL": str(tiny_model)}
    return launch(tmp_path_factory.mktemp("store"), **options)


@pytest.fixture
def client(server):
    with server.client() as client:
        until(lambda: has_runner(server))
        yield client
        for video in client.videos():
            client.delete(video.video_id)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def add(client: Client, folder, *, on_server: bool = True, **options) -> str:
    """Index the video and wait for its words. Returns: its id."""
    video_id = client.index(folder / "talk.mp4", on_server=on_server, **options).video.video_id
    until(lambda: client.video(video_id).words != "reading")
    return video_id


def test_words_are_read_by_themselves_searched_and_printed(server, client, folder):
    video_id = add(client, folder)
    video = client.video(video_id)
    assert (video.words, video.cues, list(video.word_languages)) == ("read", 3, ["zh"])  # Latin script may be any
    assert list(video.word_sources) == ["subtitle"]
    until(lambda: not any(job.is_unfinished for job in client.jobs()))
    [job] = [job for job in client.jobs() if job.kind == "words"]
    assert (job.state, job.error, job.done_seconds) == ("done", "", SECONDS)

    transcript = client.transcript(video_id)
    assert transcript.complete and [cue.text for cue in transcript.cues] == [text for _, _, text in LINES]
    assert [(cue.start_seconds, cue.end_seconds) for cue in transcript.cues] == [(s, e) for s, e, _ in LINES]

    for text, line in (('"interest rates"', 1), ("望远镜", 2)):
        match = client.search(text, look_in="heard").matches[0]
        assert (match.reasons, match.line, match.line_start_seconds) == (["heard"], LINES[line][2], LINES[line][0])
    found = run(server, "search", "optical segment", "--in", "heard", "--json-answer").stdout
    assert json.loads(found)["matches"][0]["line"] == LINES[0][2]
    assert run(server, "transcript", "talk.mp4").stdout.splitlines()[2] == "04:10.0  最后我们看看这台望远镜。"


def test_a_correction_is_found_and_kept(client, folder):
    video_id = add(client, folder)
    cue = client.transcript(video_id).cues[0]
    assert client.correct_cue(video_id, cue.cue_id, "We calibrate the Zyglovian segment.").edited
    assert client.search("Zyglovian", look_in="heard").matches[0].line == "We calibrate the Zyglovian segment."
    assert client.read_words(video_id, again=True).words == "read"
    texts = [cue.text for cue in client.transcript(video_id).cues]
    assert texts == ["We calibrate the Zyglovian segment.", *(text for _, _, text in LINES[1:])]


def test_subtitles_are_sent_with_their_video(client, folder):
    video_id = add(client, folder, on_server=False)
    assert [cue.text for cue in client.transcript(video_id).cues] == [text for _, _, text in LINES]


def test_a_video_without_words_gets_them_when_somebody_asks(client, folder):
    video_id = add(client, folder, words=False)
    assert client.video(video_id).words == "" and not client.transcript(video_id).cues
    assert not [job for job in client.jobs() if job.kind == "words" and job.is_unfinished]
    steps = []
    video = client.read_words(video_id, progress=lambda step: steps.append((step.stage, step.done, step.total)))
    assert video.cues == 3 and steps[-1] == ("words", SECONDS, SECONDS)
    with pytest.raises(InvalidRequest, match="language is 'Chinese'"):
        client.read_words(video_id, language="Chinese")


def test_a_deleted_video_takes_its_words_along(client, folder):
    video_id = add(client, folder)
    client.delete(video_id)
    with pytest.raises(VideoNotFound):
        client.transcript(video_id)
    assert not [job for job in client.jobs() if job.video_id == video_id and job.is_unfinished]


def test_nobody_holds_up_others_with_a_span_of_hours(client, folder):
    video_id = add(client, folder)
    for start, end in ((0.0, 1e6), (0.0, SECONDS), (0.0, 0.0), (100.0, 20.0)):
        with pytest.raises(InvalidTimeRange, match="A span of words has 120 s at most"):
            client._one("/words", WordSpan(video_id=video_id, start_seconds=start, end_seconds=end))


def test_words_are_cancelled(client, folder):
    video_id = add(client, folder)

    def stop(_):
        raise Cancelled("Enough.")

    with pytest.raises(Cancelled, match="Enough"):
        client.read_words(video_id, again=True, progress=stop)
    [job] = [job for job in client.jobs() if job.kind == "words" and job.video_id == video_id]
    assert job.state == "cancelled"
