"""What the page asks of the service beside the main job: open files, cancel and resume, rename, folders, joins."""

import io

import av
import pytest

from benchmarks.synthetic import videos
from clipseek.api import errors


@pytest.fixture(scope="module")
def allowed(tmp_path_factory):
    """A folder of the server whose videos may be indexed in place."""
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def server(launch, tmp_path_factory, tiny_model, allowed):
    options = {"CLIPSEEK_MODEL": str(tiny_model), "CLIPSEEK_MEDIA_ROOTS": str(allowed)}
    return launch(tmp_path_factory.mktemp("store"), **options)


def test_an_open_file_is_cancelled_and_gone_on_with(library, tmp_path):
    path = videos.make(tmp_path / "long.mp4", frames=3000, fps=5, gop=50).path  # more spans than are under way at once
    steps = []

    def stop_in_the_middle(step):
        steps.append(step)
        if step.stage == "index" and step.done:
            raise errors.Cancelled("enough")

    with pytest.raises(errors.Cancelled):
        library.index(io.BytesIO(path.read_bytes()), title="AC/DC.mp4", progress=stop_in_the_middle)
    video = library.video("AC/DC.mp4")
    assert video.status == "indexing" and {step.stage for step in steps} == {"hash", "upload", "index"}
    done = library.resume(video.video_id)
    assert done.video.status == "ready" and 0 < done.frames_added <= done.video.frames
    assert library.rename("AC/DC.mp4", "<b>x</b>.mp4").title == "<b>x</b>.mp4"
    assert library.video("<b>x</b>.mp4").frames == done.video.frames
    with pytest.raises(errors.InvalidRequest, match="empty"):
        library.rename(video.video_id, " ")
    library.delete(video.video_id)


def test_moments_are_joined(library, tmp_path):
    moments = [("photographs.mp4", 8.0, 9.0), ("toys.mp4", 1.2, 3.0)]
    saved = library.join(moments, tmp_path / "video.mp4")
    assert (saved.start_seconds, saved.end_seconds) == (0.0, pytest.approx(2.8, abs=0.05))
    with av.open(str(saved.path)) as video:
        assert video.duration / av.time_base == pytest.approx(2.8, abs=0.08)
        assert (video.streams.video[0].width, video.streams.video[0].height) == (640, 480)
    for wrong in ([], [("toys.mp4", 5.0, 4.0)], [("nope", 0.0, 1.0)]):
        with pytest.raises((errors.InvalidRequest, errors.NotFound)):
            library.join(wrong, tmp_path / "none.mp4")


def test_folders_are_not_listed_unless_allowed(library):
    with pytest.raises(errors.PathNotAllowed, match="CLIPSEEK_MEDIA_ROOTS"):
        library.server_videos("/etc")


def test_the_videos_of_an_allowed_folder(library, allowed):
    path = videos.make(allowed / "a video.mp4", frames=50).path
    [found] = library.server_videos(str(allowed))
    assert (found.server_path, found.title, found.size_bytes) == (str(path), "a video.mp4", path.stat().st_size)
    assert library.index(found.server_path, on_server=True).video.status == "ready"
    facts = {component.name: component.facts for component in library.health()}
    assert facts["video_loader"]["media_roots"] == str(allowed)
