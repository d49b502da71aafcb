"""The client's own part: which video a name means, what it refuses before anything is sent, how errors come back."""

import asyncio
import hashlib
import os
import pickle
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clipseek.api import errors
from clipseek.api.documents import Clip, Video
from clipseek.client import Client, choose_video, connection
from clipseek.client.download import clip_target, save_clip
from clipseek.client.indexing import at_most
from clipseek.machine.ports import free_port

VIDEOS = [
    Video(video_id="abcd" + "0" * 60, title="cat.mp4"),
    Video(video_id="abce" + "0" * 60, title="dog.mp4"),
    Video(video_id="ffff" + "0" * 60, title="cat.mp4"),
    Video(video_id="eeee" + "0" * 60, title="abcd"),
]


@pytest.mark.parametrize("stored", ["Cafe\u0301 Mu\u0308nchen.mp4", "Caf\u00e9 M\u00fcnchen.mp4"])
@pytest.mark.parametrize("typed", ["Cafe\u0301 Mu\u0308nchen.mp4", "Caf\u00e9 M\u00fcnchen.mp4"])
def test_an_accent_is_found_however_it_is_written(stored, typed):
    assert choose_video([Video(video_id="a" * 64, title=stored)], typed).title == stored


def test_a_video_is_named_by_id_title_or_start_of_its_id():
    assert choose_video(VIDEOS, "abce" + "0" * 60).title == "dog.mp4"
    assert choose_video(VIDEOS, "dog.mp4").video_id.startswith("abce")
    assert choose_video(VIDEOS, "FFFF0").video_id.startswith("ffff")
    assert choose_video(VIDEOS, "abcd").video_id.startswith("eeee")  # a title goes before a prefix


@pytest.mark.parametrize("name", ["", "abc", "a", "nothing.mp4"])
def test_names_that_mean_none(name):
    with pytest.raises(errors.VideoNotFound, match=f"'{name}'"):
        choose_video(VIDEOS, name)


def test_names_that_mean_several_list_them():
    with pytest.raises(errors.AmbiguousVideo, match=r"2 videos: abcd00000000 \(cat.mp4\), ffff00000000 \(cat.mp4\)"):
        choose_video(VIDEOS, "cat.mp4")


def test_no_server_says_how_to_start_one():
    client = Client(f"grpc://127.0.0.1:{free_port('127.0.0.1')}")
    with client:
        for ask in (client.videos, client.calibrate):
            with pytest.raises(errors.ServerUnreachable, match="clipseek serve"):
                ask()


def test_files_are_refused_before_anything_is_sent(tmp_path):
    (tmp_path / "empty.mp4").touch()
    with Client(f"grpc://127.0.0.1:{free_port('127.0.0.1')}") as client:
        with pytest.raises(errors.FileMissing, match=r"file '.*none.mp4' cannot be read"):
            client.index(tmp_path / "none.mp4")
        with pytest.raises(errors.EmptyFile, match="0 bytes"):
            client.index(tmp_path / "empty.mp4")
        with pytest.raises(errors.UnreadableVideo, match="is a folder"):
            client.index(tmp_path)


def test_a_port_that_says_nothing_is_no_server(monkeypatch):
    monkeypatch.setattr(connection, "_CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"grpc://127.0.0.1:{silent.getsockname()[1]}")
        with client, pytest.raises(errors.ServerUnreachable):
            client.videos()


def test_clips_go_to_ordinary_files_only(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "video.mp4")
    assert clip_target(tmp_path / "link.mp4") == tmp_path / "video.mp4"
    for refused in (tmp_path / "pipe", tmp_path, Path()):
        with pytest.raises(errors.OutputRefused):
            clip_target(refused)


def pieces(content: bytes, length: int = 4):
    """What a loader answers for a clip, piece by piece, from any offset."""
    about = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return lambda offset: Clip(data=content[offset : offset + length], offset=offset, **about)


def test_a_clip_is_written_whole_by_many_at_once(tmp_path):
    ask = pieces(b"moving pictures")
    both = threading.Barrier(2, timeout=60)

    def save(name: str) -> None:
        both.wait()
        save_clip(ask(0), tmp_path / name, ask)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(save, ("a.mp4", "b.mp4")))
    save_clip(pieces(b"")(0), tmp_path / "c.mp4", pieces(b""))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        "a.mp4": b"moving pictures",
        "b.mp4": b"moving pictures",
        "c.mp4": b"",
    }


@pytest.mark.parametrize(
    "other",
    [
        pieces(b"moving picture"),  # cut on another machine
        lambda offset: Clip(**{**vars(pieces(b"moving pictures")(offset)), "data": b""}),
        lambda offset: Clip(**{**vars(pieces(b"moving pictures")(offset)), "data": b"...."}),
    ],
)
def test_pieces_that_do_not_fit_are_not_taken_for_a_clip(tmp_path, other):
    (tmp_path / "a.mp4").write_bytes(b"before")
    with pytest.raises(errors.ServerFailed, match="Repeat the request"):
        save_clip(pieces(b"moving pictures")(0), tmp_path / "a.mp4", other)

    def lost(offset: int) -> Clip:
        raise errors.ServerUnreachable("lost")

    with pytest.raises(errors.ServerUnreachable):
        save_clip(pieces(b"moving pictures")(0), tmp_path / "a.mp4", lost)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"before"]


def test_numbers_and_names_that_cannot_be_are_refused_before_anything_is_sent(tmp_path):
    with Client(f"grpc://127.0.0.1:{free_port('127.0.0.1')}") as client:
        for rate in (0.0, 1e-9, float("nan"), 1e9):
            with pytest.raises(errors.InvalidRequest, match="frames_per_second"):
                client.index(tmp_path / "video.mp4", frames_per_second=rate)
        for top_k in (0, 10**20):
            with pytest.raises(errors.InvalidTopK, match=str(top_k)):
                client.search("a cat", top_k=top_k)
        with pytest.raises(TypeError, match=r"no search option 'min_score'\. The options are: also, without"):
            client.search("a cat", min_score=0.5)
        with pytest.raises(TypeError, match="no search option 'videos'"):
            client.timeline("a.mp4", "a cat", videos=["b.mp4"])


def test_errors_travel_by_name_message_and_data():
    error = errors.error_from_name("VideoNotFound", "There is no video 'x'.")
    assert isinstance(error, errors.VideoNotFound) and str(error) == "There is no video 'x'."
    assert errors.error_from_name("KeyError", "x") is None
    sent = errors.LimitExceeded("Too long.", setting="CLIPSEEK_MAX_VIDEO_HOURS", limit=24.0, value=30.5)
    for error in (errors.error_from_name("LimitExceeded", *sent.args), pickle.loads(pickle.dumps(sent))):
        assert isinstance(error, errors.LimitExceeded) and str(error) == "Too long."
        assert (error.setting, error.limit, error.value) == ("CLIPSEEK_MAX_VIDEO_HOURS", 24.0, 30.5)
    assert errors.InvalidTopK.exit_code == 2 and errors.VideoNotFound.exit_code == 1


def test_the_tree_in_the_docstring_is_the_tree_in_the_code():
    listed = {
        line.lstrip("│├└─ ").split()[0]
        for line in errors.__doc__.splitlines()
        if line.startswith("    ") and line.strip() and line.lstrip("│├└─ ")[0].isupper()
    }
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert listed == defined


def test_at_most_so_many_run_at_once_and_the_first_error_stops_the_rest():
    running, most, started = 0, 0, []

    async def work(number: int) -> None:
        nonlocal running, most
        started.append(number)
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        if number == 5:
            raise errors.VideoNotFound("five")

    asyncio.run(at_most(3, (work(number) for number in range(5))))
    assert most == 3 and started == [0, 1, 2, 3, 4]
    with pytest.raises(errors.VideoNotFound, match="five"):
        asyncio.run(at_most(2, (work(number) for number in range(5, 100))))
    assert len(started) < 20


def test_a_forked_process_is_told_why_it_cannot_ask():
    """In a process of its own, without the threads of the tests."""
    program = """
import os
from clipseek import Client, errors
client = Client("grpc://127.0.0.1:1")
for process in ("parent", "child"):
    if process == "child" and os.fork():
        os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
    try:
        client.videos()
    except errors.ClipSeekError as error:
        print(process, type(error).__name__, flush=True)
os._exit(0)
"""
    told = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=120
    ).stdout
    assert told.split() == ["parent", "ServerUnreachable", "child", "InvalidRequest"]


def test_threads_that_come_first_at_once_share_one_loop():
    """In a process of its own, where none has come yet."""
    program = """
import asyncio, sys, threading
from clipseek.client.transport import run
sys.setswitchinterval(1e-6)
loops, start = [], threading.Barrier(16)
async def which():
    loops.append(asyncio.get_running_loop())
def ask():
    start.wait()
    run(which())
threads = [threading.Thread(target=ask) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(set(map(id, loops))), len(loops))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["1", "16"]
