"""Videos in an object store: what one service has taken, another one reads, and an upload may reach several loaders."""

import hashlib
import random

import pytest

from benchmarks.synthetic import videos
from benchmarks.synthetic.cluster import ONE_OF_EACH, Cluster
from clipseek.api.errors import VideoNotFound
from clipseek.schema import CHUNK_BYTES


@pytest.fixture
def shared(tmp_path):
    """The folder of the object store."""
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


@pytest.fixture
def host(launch, tmp_path, tiny_model):
    """Starts a service that has nothing of its own but the object store."""

    def start(name, media, **options):
        return launch(
            tmp_path / name / "store",
            CLIPSEEK_CACHE=str(tmp_path / name / "cache"),
            CLIPSEEK_MODEL=str(tiny_model),
            CLIPSEEK_MEDIA=media,
            **options,
        )

    return start


def test_another_host_indexes_shows_and_cuts_a_video_that_it_was_never_sent(host, shared, tmp_path):
    video = videos.make(tmp_path / "slates.mp4", frames=100, fps=25)
    video_id = hashlib.sha256(video.path.read_bytes()).hexdigest()
    first = host("a", f"local://{shared}")
    with first.client() as client:
        assert client.index(video.path).video.status == "ready"
        [loader] = [component for component in client.health() if component.name == "video_loader"]
        assert (loader.facts["media"], loader.facts["media_copies"]) == (f"local://{shared}", "1")
    first.stop()
    assert sorted(file.name for file in (shared / "main").iterdir()) == [f"{video_id}.film.mp4", f"{video_id}.json"]

    second = host("b", f"local://{shared}")
    stages = set()
    with second.client() as client:
        done = client.index(video.path, progress=lambda step: stages.add(step.stage))
        assert done.video.status == "ready" and done.frames_added and "upload" not in stages
        saved = client.clip(video_id, 1.0, 2.2, tmp_path / "clip.mp4")
        assert [number for _, number in videos.read(saved.path)] == [i % videos.SLATES for i in range(25, 55)]
        joined = client.join([(video_id, 0.0, 1.0), (video_id, 2.0, 3.0)], tmp_path / "joined.mp4")
        assert len(videos.read(joined.path)) == 50
        assert client.thumbnail(video_id, 1.0)[:3] == b"\xff\xd8\xff"
        assert list((second.home / "media").iterdir()) == []
        client.delete(video_id)
        with pytest.raises(VideoNotFound):
            client.thumbnail(video_id, 1.0)
    assert list((shared / "main").iterdir()) == []


def test_a_start_without_the_object_store_ends_with_the_cause(host, shared):
    server = host("a", f"local://{shared}/not-mounted", ready=False)
    assert server.process.wait(timeout=120) == 1
    server.wait_for("The server cannot start. The object store of the videos, local://")
    assert "no such folder or bucket" in server.output


def test_the_chunks_of_an_upload_reach_loaders_that_share_no_folder(shared, tmp_path, tiny_model):
    video = videos.make(tmp_path / "slates.mp4", frames=100, fps=25).path
    padding = random.Random(1).randbytes(5 * CHUNK_BYTES)
    with video.open("ab") as file:
        file.write((len(padding) + 8).to_bytes(4, "big") + b"free" + padding)
    counts = ONE_OF_EACH | {"video_loader": 2}
    with Cluster(tmp_path, tiny_model, counts, media=f"local://{shared}") as cluster:
        cluster.start(*cluster.parts)
        cluster.wait_until_serving(cluster.parts)
        with cluster.client() as client:
            indexed = client.index(video).video
            assert (indexed.status, indexed.missing_start_seconds) == ("ready", [])
            assert client.search("a dog", all_matches=True).matches
        served = [cluster.log(f"video_loader-{number}").count("/upload") for number in range(2)]
    assert all(served), served
    assert len(list((shared / "main").iterdir())) == 2
