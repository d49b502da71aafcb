"""Other ways in than the commands that index and search: watched folders, and what VCED's programs send."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager, nullcontext
from pathlib import Path

import cv2
import grpc
import psutil
import pytest

from benchmarks.synthetic import videos
from clipseek.api import errors
from clipseek.client import Client
from clipseek.machine.ports import free_port
from clipseek.vced import messages
from clipseek.watch.intake import AWAY
from clipseek.watch.state import WatchState
from clipseek.watch.watcher import Watcher
from tests.flow.conftest import ROOT
from tests.pictures import PICTURES
from tests.vced import INDEX, SEARCH


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


class Looks:
    """A watcher of `folder` that takes what it sees at once; `look` tells what happened."""

    def __init__(self, client, folder: Path, **options):
        self._events = []
        self._state = WatchState(folder.with_suffix(".db"))
        options = {"show": lambda _name: nullcontext(lambda _step: None), "settle_seconds": 0.0} | options
        self.watcher = Watcher(client, [folder], self._state, tell=self._events.append, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._state.__exit__(None, None, None)

    def look(self, **begin):
        self._events.clear()
        if begin:
            self.watcher.begin(**begin)
        self.watcher.look()
        return {(event.kind, Path(event.path).name) for event in self._events}


def titles(client):
    return Counter(video.title for video in client.videos())


@pytest.fixture
def folder(tmp_path, client):
    folder = tmp_path / "videos"
    folder.mkdir()
    yield folder
    for video in client.videos():
        client.delete(video.video_id)


def test_a_library_follows_a_folder(client, folder):
    videos.make(folder / "a.mp4", frames=25)
    (folder / "copy.mp4").write_bytes((folder / "a.mp4").read_bytes())
    videos.make(folder / "mine.mp4", frames=30)
    client.index(folder / "mine.mp4", title="my own")
    (folder / "broken.mp4").write_text("this is a text")
    first = {("added", "a.mp4"), ("known", "copy.mp4"), ("known", "mine.mp4"), ("failed", "broken.mp4")}
    with Looks(client, folder) as looks:
        assert looks.look() == first
        assert looks.look() == set()
        assert titles(client) == {"a.mp4": 1, "my own": 1}

        videos.make(folder / "a.mp4", frames=35)  # another video; the copy still is the former one
        videos.make(folder / "broken.mp4", frames=40)
        assert looks.look() == {("changed", "a.mp4"), ("added", "broken.mp4")}
        assert titles(client) == {"a.mp4": 2, "broken.mp4": 1, "my own": 1}
        (folder / "copy.mp4").unlink()
        assert looks.look() == {("missing", "copy.mp4")}
        assert looks.look() == set()
        client.rename(client.index(folder / "broken.mp4").video.video_id, "mended")
        (folder / "broken.mp4").write_bytes((folder / "mine.mp4").read_bytes())
        assert looks.look() == {("known", "broken.mp4"), ("deleted", "mended")}
        videos.make(folder / "broken.mp4", frames=45)  # the former one was not brought, so it stays
        assert looks.look() == {("changed", "broken.mp4")}
        assert titles(client) == {"a.mp4": 2, "broken.mp4": 1, "my own": 1}

    with Looks(client, folder, delete=True) as looks:
        assert looks.look() == {("deleted", "a.mp4")}  # that of the copy, whose file was missing
        (folder / "mine.mp4").unlink()
        (folder / "broken.mp4").unlink()
        assert looks.look() == {("deleted", "broken.mp4")}
        assert titles(client) == {"a.mp4": 1, "my own": 1}
        (folder / "a.mp4").rename(folder.with_name("a.mp4"))
        assert looks.look() == {("folder", "videos")}  # nothing is left: it looks like a share that is not mounted
        folder.rename(folder.with_name("unmounted"))
        assert looks.look() == {("folder", "videos")} and looks.look() == set()
        assert titles(client) == {"a.mp4": 1, "my own": 1}


def test_a_title_follows_the_file_unless_people_chose_it(client, folder):
    raw = os.fsdecode(b"caf\xe9.mp4")
    videos.make(folder / "a.mp4", frames=25)
    videos.make(folder / "b.mp4", frames=30)
    videos.make(folder / "theirs.mp4", frames=40)
    client.index(folder / "theirs.mp4")
    with Looks(client, folder, delete=True) as looks:
        looks.look()
        (folder / "theirs.mp4").rename(folder / "here.mp4")
        client.rename("b.mp4", "my title")
        (folder / "below").mkdir()
        (folder / "a.mp4").rename(folder / raw)
        (folder / "b.mp4").rename(folder / "below" / "c.mp4")
        assert looks.look() == {("moved", raw), ("moved", "c.mp4"), ("moved", "here.mp4")}
        assert titles(client) == {"caf?.mp4": 1, "my title": 1, "theirs.mp4": 1}
        (folder / "a.mp4").write_bytes((folder / raw).read_bytes())  # as if it came from another file system
        (folder / raw).unlink()
        assert looks.look() == {("moved", "a.mp4")}
        videos.make(folder / "below" / "c.mp4", frames=35)
        assert looks.look() == {("changed", "c.mp4"), ("deleted", "my title")}
        assert titles(client) == {"a.mp4": 1, "my title": 1, "theirs.mp4": 1}


def test_an_interrupted_video_goes_on_where_it_stopped(client, folder):
    videos.make(folder / "long.mp4", frames=3000, fps=5, gop=50)  # more spans than are under way at once

    tried = []

    @contextmanager
    def stopping(name):
        tried.append(name)

        def step(progress):
            if progress.stage == "index" and progress.done:
                raise errors.Cancelled("enough")

        yield step

    stages = []
    with Looks(client, folder, show=stopping) as looks:
        assert looks.look() == {("later", "long.mp4")}
        assert looks.look() == set() and len(tried) == 1  # not at once
    before = client.video("long.mp4")
    assert before.status == "indexing"
    with Looks(client, folder, show=lambda _name: nullcontext(lambda step: stages.append(step.stage))) as looks:
        assert looks.look(again=False) == {("added", "long.mp4")}
    assert set(stages) == {"index"}  # neither read for its hash nor sent
    assert client.video("long.mp4").frames > before.frames


def test_what_others_delete_stays_out_until_it_is_wanted_again(client, folder):
    videos.make(folder / "a.mp4", frames=25)
    (folder / "b.mp4").write_text("this is a text")
    with Looks(client, folder) as looks:
        looks.look()
    client.delete("a.mp4")
    with Looks(client, folder) as looks:
        assert looks.look(again=False) == {("dropped", "a.mp4")}
        assert looks.look(again=False) == set() == set(titles(client))
        assert looks.look(again=True) == {("added", "a.mp4"), ("failed", "b.mp4")}


def test_a_server_that_is_away_stops_the_look_and_nothing_is_lost(client, folder):
    videos.make(folder / "a.mp4", frames=25)
    nobody = Client(f"grpc://127.0.0.1:{free_port('127.0.0.1')}")
    with Looks(nobody, folder) as looks, pytest.raises(AWAY):
        looks.look()
    with Looks(client, folder) as looks:
        assert looks.look() == {("added", "a.mp4")}


def watch(host, folder, *options):
    """`clipseek watch` as a user starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "clipseek", "watch", str(folder), "--host", host, "--interval", "0.2", *options],
        env={**os.environ, "CLIPSEEK_HOME": str(folder.parent / "home"), "COLUMNS": "500"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_watches_until_it_is_told_to_stop(server, client, folder):
    with watch(server.host, folder, "--settle", "0.3", "--json") as process:
        videos.make(folder / "a.mp4", frames=25)
        added = json.loads(process.stdout.readline())
        assert (added["kind"], added["path"]) == ("added", str(folder / "a.mp4"))
        assert added["video_id"] == client.video("a.mp4").video_id
        (folder / "a.mp4").rename(folder / "b.mp4")
        assert json.loads(process.stdout.readline())["kind"] == "moved"
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 0 and "Traceback" not in said
    assert "1 added; 1 watched." in said and "Stopped." in said
    assert list((folder.parent / "home" / "clients").glob("*/watch.db"))


def test_the_command_looks_once_and_says_by_its_exit_code_whether_all_is_well(server, folder):
    (folder / "text.mp4").write_text("this is a text")
    with watch(server.host, folder, "--once", "--settle", "0.1") as process:
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and "text.mp4" in said
    with watch(server.host, folder, "--once", "--settle", "0.1") as process:
        assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0


def test_the_command_waits_for_a_server_that_is_away(folder):
    with watch(f"grpc://127.0.0.1:{free_port('127.0.0.1')}", folder) as process:
        assert "No ClipSeek server answers" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0


class VcedProgram:
    """Sends what VCED's page and scripts send, as the packages that they use put it on the wire."""

    def __init__(self, port):
        self.host = f"grpc://127.0.0.1:{port}"
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._call = self._channel.stream_stream("/jina.JinaRPC/Call")

    def _post(self, request):
        [answer] = self._call(iter([request.SerializeToString()]), timeout=120)
        return messages.Request.FromString(answer)

    def index(self, uri, uid):
        request = messages.Request.FromString(INDEX)
        request.data.docs.docs[0].uri, request.data.docs.docs[0].id = str(uri), uid + Path(uri).name
        return self._post(request)

    def search(self, text, **parameters):
        request = messages.Request.FromString(SEARCH)
        request.data.docs.docs[0].text = text
        request.parameters.Clear()
        request.parameters.update(parameters)
        [doc] = self._post(request).data.docs.docs
        return [dict(match.tags) for match in doc.matches]

    def post(self, endpoint):
        request = messages.Request.FromString(SEARCH)
        request.header.exec_endpoint = endpoint
        return self._post(request)

    def close(self):
        self._channel.close()


@contextmanager
def compat(server, folder):
    """`clipseek compat` as a user starts it, and a program of VCED's."""
    port = free_port("127.0.0.1")
    process = subprocess.Popen(
        [sys.executable, "-m", "clipseek", "compat", str(folder), "--port", str(port), "--host", server.host],
        env={**os.environ, "CLIPSEEK_HOME": str(folder.parent / "home"), "COLUMNS": "500"},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert f"grpc://127.0.0.1:{port}" in process.stderr.readline()
        listening = {
            c.laddr.ip.removeprefix("::ffff:")
            for c in psutil.Process(process.pid).net_connections("tcp")
            if c.status == "LISTEN"
        }
        assert listening == {"127.0.0.1"}  # VCED's programs send no token
        program = VcedProgram(port)
        yield program
        program.close()
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 0 and "Traceback" not in said


READERS = dict(PICTURES)


def photographs(path, *names):
    """A video of photographs, each for four seconds."""
    pictures = [cv2.resize(READERS[name](name), (320, 240)) for name in names for _ in range(40)]
    return videos.make(path, pictures=pictures, fps=10, size=(320, 240)).path


def test_a_program_of_vced_gets_its_moments_in_seconds(server, client, folder):
    first = photographs(folder / "first one.mp4", "coffee", "a red flower", "rocket")
    second = photographs(folder / "second.mp4", "a red flower", "coffee")
    with compat(server, folder) as program:
        assert program.index(first, "uid-1").data.docs.docs[0].uri == str(first)
        [flower] = program.search("a red flower", uid="uid-1", maxCount=1)
        assert (flower["leftIndex"], flower["rightIndex"], flower["uri"]) == (4, 8, str(first))
        assert 4 <= flower["maxIndex"] < 8 and 0.5 <= flower["maxImageScore"] <= 1
        program.index(second, "uid-2")
        program.index(first, "uid-3")
        assert {video.title for video in client.videos()} == {first.name, second.name}
        [flower] = program.search("a red flower", uid="uid-3", maxCount=1)  # of the video uploaded for this search
        assert (flower["leftIndex"], flower["rightIndex"], flower["uri"]) == (4, 8, str(first))
        found = program.search("a red flower", maxCount=50)
        assert (found[0]["leftIndex"], found[0]["rightIndex"], found[0]["uri"]) == (0, 4, str(second))
        assert {match["uri"] for match in found} == {str(first), str(second)}
        assert [m["maxImageScore"] for m in found] == sorted((m["maxImageScore"] for m in found), reverse=True)
        assert client.search("a submarine").nothing_matches
        [weak] = program.search("a submarine", maxCount=1)  # as VCED: its best, however little that fits
        assert weak["maxImageScore"] < 0.5
        [drawn] = program.search("a red flower", maxCount="1", doc_ids=[str(first)], thod=1)
        assert (drawn["leftIndex"], drawn["rightIndex"]) == (0, 12)
        [drawn] = program.search("a red flower", maxCount=1, doc_ids=str(first), thod=0.1)
        assert (drawn["leftIndex"], drawn["rightIndex"]) == (4, 8)
        assert program.search("a red flower", doc_ids=["/none.mp4"]) == []
    with compat(server, folder) as program:  # started anew it still knows which video which video became
        [match] = program.search("a red flower", maxCount=1, doc_ids=[str(second)])
        assert match["uri"] == str(second)


def test_what_vced_programs_may_not_or_cannot_is_refused_by_name(server, client, folder):
    videos.make(folder / "video.mp4", frames=25)
    (folder / "out.mp4").symlink_to(videos.make(folder.parent / "secret.mp4", frames=25).path)
    with compat(server, folder) as program:
        for ask, code, why in (
            (lambda: program.index("/etc/passwd", "u"), "PERMISSION_DENIED", "PathNotAllowed: '/etc/passwd'"),
            (lambda: program.index(folder / "out.mp4", "u"), "PERMISSION_DENIED", "PathNotAllowed"),
            (lambda: program.index(folder / ".." / "secret.mp4", "u"), "PERMISSION_DENIED", "PathNotAllowed"),
            (lambda: program.index(folder / "none.mp4", "u"), "NOT_FOUND", "FileMissing"),
            (lambda: program.search("", maxCount=1), "INVALID_ARGUMENT", "has no text"),
            (lambda: program.search("a", maxCount="many"), "INVALID_ARGUMENT", "maxCount is 'many'"),
            (lambda: program.search("a", thod=-1), "INVALID_ARGUMENT", "thod"),
            (lambda: program.search("a", doc_ids=7), "INVALID_ARGUMENT", "doc_ids"),
            (lambda: program.post("/clear"), "INVALID_ARGUMENT", "this one is for '/clear'"),
        ):
            with pytest.raises(grpc.RpcError, match=why) as refused:
                ask()
            assert refused.value.code().name == code
        assert not client.videos()
        with Client(program.host) as lost:
            for ask in (lost.videos, lambda: lost.search("a"), lambda: lost.index(folder / "video.mp4")):
                with pytest.raises(
                    errors.InvalidSetting, match="is not a ClipSeek server, but perhaps `clipseek compat`"
                ):
                    ask()
        program.index(folder / "video.mp4", "u")  # and it goes on
        assert [video.title for video in client.videos()] == ["video.mp4"]
