"""VCED's requests: its messages as they were recorded, its parameters, its edges, the videos that it named."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from clipseek.api.documents import Query
from clipseek.api.errors import FileMissing, InvalidRequest, PathNotAllowed, StoreError
from clipseek.cli.main import main
from clipseek.machine.ports import free_port
from clipseek.vced import messages
from clipseek.vced.requests import KnownVideos, Parameters, Vced, edges_by_drop
from tests.vced import ANSWER, INDEX, SEARCH


def test_recorded_messages_are_read_as_they_were_meant():
    index, search, answer = map(messages.Request.FromString, (INDEX, SEARCH, ANSWER))
    assert (index.header.exec_endpoint, search.header.exec_endpoint) == ("/index", "/search")
    [video] = index.data.docs.docs
    assert (video.uri, video.id) == ("/data/dog.mp4", "u1dog.mp4")
    assert search.data.docs.docs[0].text == "a dog"
    assert Parameters.of(dict(search.parameters)) == Parameters(3, None, None, "u1")
    [match] = answer.data.docs.docs[0].matches
    assert match.id == "m1" and dict(match.tags) == {"leftIndex": 2, "rightIndex": 5, "uri": "/data/dog.mp4"}


def test_what_is_not_described_goes_back_as_it_came():
    assert sorted(messages.Request.FromString(INDEX).SerializeToString()) == sorted(INDEX)
    assert b"video/mp4" in messages.Request.FromString(INDEX).SerializeToString()  # the document's mime_type


@pytest.mark.parametrize(
    "sent",
    [{"maxCount": value} for value in (0, 1001, -1, "many", None, [], float("nan"))]
    + [{"thod": value} for value in (-0.1, "wide", [0.1])]
    + [{"doc_ids": value} for value in (7, [7], {"a": "b"})],
    ids=str,
)
def test_parameters_that_cannot_be_are_refused_by_name(sent):
    with pytest.raises(InvalidRequest, match=next(iter(sent))):
        Parameters.of(sent)


def test_edges_are_drawn_where_the_score_drops():
    curve = Query(curve_pts_seconds=[0.0, 1.0, 2.0, 3.0, 4.0], curve_scores=[0.6, 0.3, 0.8, 0.9, 0.7])
    for drop, edges in ((0.0, (3.0, 4.0)), (0.11, (2.0, 4.0)), (0.25, (2.0, 4.8)), (1.0, (0.0, 4.8))):
        assert edges_by_drop(curve, 4.8, 3.4, drop) == edges


def test_videos_are_known_by_their_paths_also_after_a_restart(tmp_path):
    videos = KnownVideos(tmp_path / "new folder" / "vced.json")
    videos.add("/a.mp4", "u1a.mp4", "A")
    videos.add("/copy of a.mp4", "u2copy of a.mp4", "A")
    assert videos.uri("A") == "/copy of a.mp4"
    videos.add("/a.mp4", "u2a.mp4", "A")
    videos.add("/b.mp4", "u1b.mp4", "B")
    videos.add("/b.mp4", "u3b.mp4", "C")  # written anew
    assert videos.videos_of("u1") == ["A", "B"] and videos.videos_of("u4") == []
    for known in (videos, KnownVideos(tmp_path / "new folder" / "vced.json")):
        assert [known.uri(video) for video in "ABC"] == ["/a.mp4", "", "/b.mp4"]
        assert known.videos_at(["/a.mp4", "/none.mp4", "/b.mp4"]) == ["A", "C"]
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        KnownVideos(tmp_path / "text.json")


@pytest.mark.parametrize(
    "name", ["out.mp4", "folder/secret.mp4", "../secret.mp4", "broken.mp4", "loop.mp4", "a\0b.mp4"]
)
def test_links_that_lead_out_of_the_folders_are_refused_unread(tmp_path, name):
    inside, secret = tmp_path / "inside", tmp_path / "secret.mp4"
    inside.mkdir()
    secret.write_bytes(b"secret")
    (inside / "out.mp4").symlink_to(secret)
    (inside / "folder").symlink_to(tmp_path)
    (inside / "broken.mp4").symlink_to(tmp_path / "none.mp4")
    (inside / "loop.mp4").symlink_to(inside / "loop.mp4")
    request = messages.Request()
    request.header.exec_endpoint = "/index"
    request.data.docs.docs.add(uri=f"{inside}/{name}", id="u1")
    vced = Vced(None, [inside], KnownVideos(tmp_path / "vced.json"))  # without a client that could send anything
    with pytest.raises((PathNotAllowed, FileMissing)) as refused:
        vced.answer(request.SerializeToString())
    assert str(secret) not in str(refused.value)


WITHOUT_VCED = """
import sys
sys.modules["clipseek.vced"] = None  # this is how Python marks a module that is not there
from clipseek.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("arguments", "code", "output"),
    [(["--help"], 0, "Search inside videos"), (["compat", "."], 1, "needs the package clipseek.vced")],
)
def test_without_the_room_only_its_command_fails_and_says_why(arguments, code, output):
    done = subprocess.run([sys.executable, "-c", WITHOUT_VCED, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert output in done.stdout + done.stderr and "Traceback" not in done.stderr


def test_the_command_does_not_ask_itself(tmp_path):
    port = str(free_port("127.0.0.1"))
    done = CliRunner().invoke(main, ["compat", str(tmp_path), "--port", port, "--host", f"grpc://localhost:{port}"])
    assert done.exit_code == 2 and f"clipseek serve --port {int(port) + 1}" in done.stderr.replace("\n", " ")
