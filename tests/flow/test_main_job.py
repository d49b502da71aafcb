"""The main job on real pictures: index, search, cut, list, delete; by client, bare Jina and command line."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from docarray import DocList
from jina import Client as JinaClient

from benchmarks.synthetic import videos
from clipseek.api import errors
from clipseek.api.limits import SEEN
from clipseek.cli.commands.demo import KNOWN_ANSWERS
from clipseek.schema import CHUNK_BYTES, Query
from executors.video_loader.media.media_files import MediaFiles
from executors.video_loader.media.sample_videos import list_sample_videos
from tests.flow.conftest import run
from tests.pictures import read_photograph

SAMPLES = [video.name for video in list_sample_videos()]
SEEN_ANSWERS = [known for known in KNOWN_ANSWERS if known.reason == SEEN]


def test_the_videos_are_listed_as_they_are(library):
    videos = {video.title: video for video in library.videos()}
    assert set(videos) == {*SAMPLES, "photographs.mp4"}
    film = videos["silent-film.mp4"]
    assert (film.width, film.height, film.status, film.codec) == (640, 360, "ready", "h264")
    assert film.duration_seconds == pytest.approx(9.64, abs=0.05)
    assert [videos[title].frames for title in ("photographs.mp4", "toys.mp4", "silent-film.mp4")] == [24, 20, 10]


@pytest.mark.parametrize(
    "known", [known for known in KNOWN_ANSWERS if known.reason == SEEN], ids=lambda known: known.text
)
def test_a_description_finds_its_known_moment(library, known):
    best = library.search(known.text, top_k=1, videos=SAMPLES).matches[0]
    assert known.found_by(best), (best.title, best.start_seconds, best.end_seconds)


def test_matches_come_best_first_inside_their_videos_and_never_overlap(library):
    answer = library.search("a cup of coffee", top_k=50)
    lengths = {video.video_id: video.duration_seconds for video in library.videos()}
    scores = [match.score for match in answer.matches]
    assert scores == sorted(scores, reverse=True)
    assert answer.videos_searched == 8 and answer.frames_searched == 100
    for match in answer.matches:
        assert 0 <= match.start_seconds <= match.peak_seconds < match.end_seconds <= lengths[match.video_id]
    for one in answer.matches:
        for other in answer.matches:
            if one is not other and one.video_id == other.video_id:
                assert one.end_seconds <= other.start_seconds or other.end_seconds <= one.start_seconds


def test_shots_are_stored_and_answered(library, server):
    assert library.shots("photographs.mp4") == [(4.0 * i, 4.0 * i + 4.0) for i in range(6)]
    assert [start for start, _ in library.shots("toys.mp4")] == [0.0, 4.0, 8.0, 12.0, 16.0]
    assert library.shots("nature.mp4") == [(0.0, 3.0), (3.0, 8.0)]
    assert library.shots("silent-film.mp4") == [(0.0, library.video("silent-film.mp4").duration_seconds)]
    shown = json.loads(run(server, "videos", "--shots", "nature.mp4", "--json").stdout)
    assert shown[1] == {"start_seconds": pytest.approx(3.0), "end_seconds": pytest.approx(8.0)}
    assert "00:04.0 - 00:08.0" in run(server, "videos", "--shots", "photographs.mp4").stdout
    assert "nope" in run(server, "videos", "--shots", "nope", code=1).stderr


def test_search_in_one_video_only(library):
    answer = library.search("a cup of coffee", top_k=50, videos=["toys.mp4"], all_matches=True)
    assert {match.title for match in answer.matches} == {"toys.mp4"}


def test_indexing_again_encodes_nothing_and_adds_nothing(library, server):
    before = {video.title: (video.video_id, video.frames) for video in library.videos()}
    stored = (server.home / "index.db").stat().st_mtime_ns
    again = library.add_samples()
    assert [video.frames_added for video in again] == [0] * 7
    assert {video.title: (video.video_id, video.frames) for video in library.videos()} == before
    assert stored  # the file may be touched by the registration, its frames are not


def test_a_clip_is_cut_to_the_frame(library, server, tmp_path):
    video = videos.make(tmp_path / "slates; 'cut' me.mp4", frames=100, fps=25, audio=True)
    done = library.index(video.path)
    assert done.frames_added == 5  # one a second, and one of the last shot: slates begin again after 27, at 3.24 s
    assert done.video.video_id == hashlib.sha256(video.path.read_bytes()).hexdigest()
    saved = library.clip(video.path.name, 1.0, 2.2, tmp_path / "clip.mp4")
    shown = videos.read(saved.path)
    assert [number for _, number in shown] == [i % videos.SLATES for i in range(25, 55)]
    with av.open(str(saved.path)) as clip:
        stream = clip.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(1.2, abs=0.02)
        assert (stream.codec_context.name, clip.streams.audio[0].codec_context.name) == ("h264", "aac")
    copied = library.clip(video.path.name, 1.0, 2.2, tmp_path / "copy.mp4", mode="copy")
    assert copied.start_seconds <= 1.0 and videos.read(copied.path)[0][1] == round(copied.start_seconds * 25)
    assert library.thumbnail(video.path.name, 1.0)[:3] == b"\xff\xd8\xff"
    library.delete(video.path.name)
    with pytest.raises(errors.VideoNotFound):
        library.clip(video.path.name, 1.0, 2.0, tmp_path / "gone.mp4")
    assert not list((server.home / "media").rglob(f"*{done.video.video_id[:16]}*"))


def test_a_clip_larger_than_one_message_arrives_whole(library, tmp_path):
    import numpy as np

    noise = np.random.default_rng(0).integers(0, 255, (75, 360, 480, 3), dtype=np.uint8)
    video = videos.make(tmp_path / "noise.mp4", frames=75, size=(480, 360), pictures=list(noise))
    library.index(video.path)
    saved = library.clip("noise.mp4", 0.0, 3.0, tmp_path / "clip.mp4")
    assert saved.size_bytes == saved.path.stat().st_size > 4 * 1024 * 1024
    with av.open(str(saved.path)) as clip:
        assert sum(1 for _ in clip.decode(video=0)) == 75
    library.delete("noise.mp4")


def test_a_bare_jina_client_gets_the_same_answer(library, server):
    client = JinaClient(host="127.0.0.1", port=server.port)
    [answer] = client.post(
        "/search", DocList[Query]([Query(text="a cup of coffee", top_k=3)]), return_type=DocList[Query]
    )
    ours = library.search("a cup of coffee", top_k=3)
    assert answer.answered
    assert [(m.title, m.start_seconds, m.score) for m in answer.matches] == [
        (m.title, m.start_seconds, m.score) for m in ours.matches
    ]


def copy(video: Path) -> Path:
    """The same file under another name."""
    path = video.with_name("copy.mkv")
    path.write_bytes(video.read_bytes())
    return path


def test_times_as_search_prints_them_cut_the_match_to_a_tenth(server, library, tmp_path):
    matches = library.search("a street", top_k=3, all_matches=True).matches
    lines = run(server, "search", "a street", "-k", "3", "--all").stdout.splitlines()[1:]
    assert len(matches) == len(lines) == 3
    for match, line in zip(matches, lines, strict=True):
        start, end = line.split()[2:4]
        output = str(tmp_path / f"{line.split()[0]}.mp4")
        cut = json.loads(run(server, "clip", match.title, start, end, "-o", output, "--json").stdout)
        assert cut["start_seconds"] == pytest.approx(match.start_seconds, abs=0.05 + 1e-9), line
        assert cut["end_seconds"] == pytest.approx(match.end_seconds, abs=0.05 + 1e-9), line


def test_the_command_line_does_the_whole_job(server, library, tmp_path):
    video = videos.make(tmp_path / "own <b>video; x.mkv", frames=60, fps=30, codec="vp9").path
    [indexed] = json.loads(run(server, "index", str(video), "--json").stdout)
    assert indexed.keys() >= {"video_id", "title", "status", "frames", "seconds_of_video", "elapsed_seconds"}
    assert (indexed["title"], indexed["status"], indexed["frames"]) == (video.name, "ready", 2)
    assert indexed["seconds_of_video"] == pytest.approx(2.0, abs=0.05)

    listed = {video["title"]: video for video in json.loads(run(server, "videos", "--json").stdout)}
    assert listed[video.name]["video_id"] == indexed["video_id"]
    assert (listed[video.name]["fps"], listed[video.name]["width"]) == (pytest.approx(30.0, abs=0.1), 64)

    found = json.loads(run(server, "search", "a cup of coffee", "--top-k", "2", "--json").stdout)
    assert found[0].keys() >= {"video_id", "title", "start_seconds", "end_seconds", "score", "peak_seconds"}
    assert found[0]["title"] == "photographs.mp4" and 8 <= found[0]["peak_seconds"] < 12

    clip = tmp_path / "clip.mp4"
    run(server, "clip", indexed["video_id"][:8], "0.5", "1.5", "-o", str(clip))
    assert len(videos.read(clip)) == 30
    assert "exists already" in run(server, "clip", indexed["video_id"][:8], "0", "1", "-o", str(clip), code=2).stderr
    picks, rough = tmp_path / "picks.json", tmp_path / "rough.edl"
    picks.write_text(json.dumps([{"video_id": indexed["video_id"][:8], "start_seconds": 0.5, "end_seconds": 1.5}]))
    exported = run(server, "export", "--basket", str(picks), "-o", str(rough), "--media-root", str(tmp_path))
    assert "There is no file" not in exported.stderr
    lines = rough.read_text(encoding="utf-8").splitlines()
    assert lines[3].split()[4:] == ["00:00:00:15", "00:00:01:15", "00:00:00:00", "00:00:01:00"]
    assert lines[4:6] == [f"* FROM CLIP NAME: {video.name}", f"* SOURCE FILE: {video}"]
    again = run(server, "index", str(copy(video)))
    assert f"copy.mkv has the same content as '{video.name}' ({indexed['video_id'][:12]})" in again.stderr
    assert f"Renamed '{video.name}' to 'mine; 2'" in run(server, "rename", indexed["video_id"][:8], "mine; 2").stderr
    opened = Path(run(server, "open", "mine; 2", "0.5", "1.5", "--print", CLIPSEEK_CACHE=str(tmp_path)).stdout.strip())
    assert opened.parent.parent == tmp_path / "opened" and len(videos.read(opened)) == 30
    assert "To delete 'mine; 2', add --yes." in run(server, "delete", indexed["video_id"][:8], code=2).stderr
    assert "Deleted 'mine; 2'" in run(server, "delete", indexed["video_id"][:8], "--yes").stderr
    assert video.name not in run(server, "videos").stdout
    assert "toys.mp4" in run(server, "search", "a glowing crystal", "--video", "toys.mp4").stdout
    examined = run(server, "doctor").stdout
    assert "FaissIndexer" not in examined and "indexer" in examined
    assert "".join(examined.split()).count("notCLIPquality") == 1  # though both encoders say it, in folded lines


def test_a_title_stays_until_another_is_given(library, tmp_path):
    video = videos.make(tmp_path / "named.mp4", frames=25).path
    library.index(video)
    assert library.index(video, title="my video").video.title == "my video"
    assert library.index(video).video.title == "my video"
    library.delete("my video")


def test_a_folder_is_indexed_and_what_fails_is_named(server, library, tmp_path):
    videos.make(tmp_path / "good.mp4", frames=25)
    (tmp_path / "bad.mp4").write_text("this is a text")
    done = run(server, "index", str(tmp_path), "--json", code=1)
    results = {result["title"]: result for result in json.loads(done.stdout)}
    assert results["good.mp4"]["status"] == "ready"
    assert results["bad.mp4"]["status"] == "failed" and "bad.mp4" in done.stderr
    library.delete("good.mp4")


def test_long_text_is_truncated_with_a_warning(library):
    answer = library.search("a red flower " * 600)
    assert any("ignores the rest" in warning for warning in answer.warnings)
    assert answer.answered and answer.videos_searched == 8


def test_a_still_video_costs_one_frame_and_black_matches_nothing(library, server, tmp_path):
    coffee = cv2.resize(read_photograph("coffee"), (320, 240))
    shown = [coffee] * 40 + [np.zeros_like(coffee)] * 40
    video = videos.make(tmp_path / "still.mp4", pictures=shown, fps=10, size=(320, 240)).path
    [done] = json.loads(run(server, "index", "--json", str(video)).stdout)
    assert (done["frames"], done["frames_encoded"]) == (8, 2)
    [match] = library.search("a cup of coffee", top_k=1, videos=["still.mp4"]).matches
    assert (match.start_seconds, match.end_seconds) == (0, 4)
    for text in ("darkness", "a black screen"):
        assert all(m.peak_seconds < 4 for m in library.search(text, videos=["still.mp4"]).matches)
    library.delete("still.mp4")


def test_adaptive_sampling_is_kept_until_it_is_changed(library, tmp_path):
    stripes = videos.slate(1, 64, 48) // 2 + np.arange(0, 128, 2, dtype=np.uint8)[:, np.newaxis]
    moving = [np.roll(stripes, 5 * index, axis=1) for index in range(50)]
    video = videos.make(tmp_path / "moving.mp4", pictures=moving, fps=25).path
    assert library.index(video).video.sampling == "even"
    adaptive = library.index(video, sampling="adaptive")
    assert (adaptive.video.sampling, adaptive.video.frames) == ("adaptive", 8)
    again = library.index(video)
    assert (again.video.sampling, again.frames_added) == ("adaptive", 0)
    assert library.index(video, sampling="even").video.frames == 2
    library.delete("moving.mp4")


def test_more_frames_per_second_index_a_known_video_anew(library, tmp_path):
    video = videos.make(tmp_path / "slates.mp4", frames=50, fps=25).path
    assert library.index(video).video.frames == 3  # one a second, and one of the shot from 1.08 s on
    again = library.index(video, frames_per_second=5)
    assert (again.video.frames, again.video.frames_per_second) == (10, 5.0)
    assert library.index(video).video.frames == 10  # the rate asked for stays
    library.delete("slates.mp4")


REFUSED = [
    ("text.mp4", errors.UnreadableVideo),
    ("sound.mp4", errors.NoVideoStream),
    ("truncated.mp4", errors.UnreadableVideo),
    ("no-frames.mp4", errors.NoFrames),
]


@pytest.mark.parametrize(("name", "error"), REFUSED)
def test_files_that_are_no_videos_are_refused_and_nothing_is_stored(library, server, tmp_path, name, error):
    path = tmp_path / name
    if name == "text.mp4":
        path.write_text("this is a text, not a video\n" * 100)
    elif name == "sound.mp4":
        videos.make_sound(path)
    elif name == "truncated.mp4":
        whole = videos.make(tmp_path / "whole.mp4").path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    else:
        data = bytearray(videos.make(path).path.read_bytes())
        begin, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
        data[begin:end] = bytes(end - begin)  # the table of contents is there, the pictures are not
        path.write_bytes(data)
    before = [video.video_id for video in library.videos()]
    kept = sorted(p.name for p in (server.home / "media").rglob("*"))
    with pytest.raises(error) as caught:
        library.index(path)
    assert name in str(caught.value)
    assert [video.video_id for video in library.videos()] == before
    assert sorted(p.name for p in (server.home / "media").rglob("*")) == kept


def test_a_video_that_once_could_be_read_is_kept_when_it_cannot(library, server, tmp_path):
    path = tmp_path / "video.mp4"
    path.write_text("what a video looks like to an FFmpeg without its decoder\n" * 100)
    store = MediaFiles(server.home / "media", (), CHUNK_BYTES)
    video_id = store.add_file(path).video_id
    store.accept(video_id)  # as it was before the server started
    with pytest.raises(errors.UnreadableVideo):
        library.index(path)
    assert store.path(video_id).read_bytes() == path.read_bytes()
    store.delete(video_id)


def test_no_clip_is_kept_of_a_video_that_is_deleted_while_it_is_cut(library, cache, tmp_path):
    video = videos.make(tmp_path / "long.mp4", frames=1000, size=(640, 360))
    video_id = library.index(video.path).video.video_id
    clips = cache / "clips"
    with ThreadPoolExecutor(1) as thread:
        cutting = thread.submit(library.clip, video_id, 0, 40, tmp_path / "clip.mp4")
        while not cutting.done() and not list(clips.glob("making-*/*.part.mp4")):
            pass  # until the video is open and being cut
        library.delete(video_id)
        with pytest.raises(errors.VideoNotFound):
            cutting.result()
    assert not list(clips.glob(f"*{video_id}*"))


def test_bad_requests_are_named_and_the_server_lives_on(library, tmp_path):
    target = tmp_path / "clip.mp4"
    with pytest.raises(errors.EmptyQuery):
        library.search("  ")
    for top_k in (0, -3):
        with pytest.raises(errors.InvalidTopK, match=str(top_k)):
            library.search("a cup of coffee", top_k=top_k)
    with pytest.raises(errors.VideoNotFound, match="nope"):
        library.search("a cup of coffee", videos=["nope"])
    with pytest.raises(errors.VideoNotFound, match="nope"):
        library.clip("nope", 0, 1, target)
    for start, end in ((3.0, 2.0), (2.0, 2.0), (-1.0, 2.0), (1.0, 99.0), (50.0, 51.0)):
        with pytest.raises(errors.InvalidTimeRange, match=r"toys|\d"):
            library.clip("toys.mp4", start, end, target)
    with pytest.raises(errors.FileMissing, match="folder"):
        library.clip("toys.mp4", 0, 1, tmp_path / "no" / "folder.mp4")
    with pytest.raises(errors.PathNotAllowed, match="CLIPSEEK_MEDIA_ROOTS"):
        library.index("/etc/passwd", on_server=True)
    assert not list(tmp_path.iterdir())
    assert library.search("a cup of coffee").matches


def test_exit_codes_of_bad_requests(server, library, tmp_path):
    target = str(tmp_path / "clip.mp4")
    assert "is empty" in run(server, "search", "", code=2).stderr
    assert (
        "--top-k must be from 1 to 1000, not 0."
        in run(server, "search", "a cup of coffee", "--top-k", "0", code=2).stderr
    )
    assert "'nope'" in run(server, "clip", "nope", "0", "1", "-o", target, code=1).stderr
    assert "none.mp4' cannot be read" in run(server, "index", str(tmp_path / "none.mp4"), code=1).stderr
    assert run(server, "clip", "toys.mp4", "3", "2", "-o", target, code=2).stdout == ""
