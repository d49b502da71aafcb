"""What people hand to the client by mistake is refused by an error of ours that names it, before anything is sent."""

import io
import os

import pytest

from clipseek.api.errors import InvalidRequest, InvalidSetting, UnreadableVideo
from clipseek.client import Client
from clipseek.client.queries import build_query
from clipseek.client.upload_source import upload_source


@pytest.mark.parametrize("option", ["also", "without", "videos"])
def test_a_text_by_itself_is_one_text(option):
    one = build_query("a", {option: "snow"}, str.upper, top_k=5)
    assert one == build_query("a", {option: ["snow"]}, str.upper, top_k=5)
    assert [part.text for part in one.parts] + one.video_ids == ["SNOW" if option == "videos" else "snow"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 2.5}, "top_k must be a whole number, not 2.5."),
        ({"text": None}, "text must be a text, not None."),
        ({"without": 5}, "without must be a list, not 5."),
        ({"also": [None]}, "Each of also must be a text, not None."),
        ({"least_score": "high"}, "least_score must be a number, not 'high'."),
        ({"parts": ["snow"]}, "Each of parts must be a QueryPart, not 'snow'."),
        ({"image": 5}, "image must be the path of a file, or its bytes, not 5."),
        ({"like": 5}, "like must be VIDEO@TIME, or a video and seconds, not 5."),
        ({"videos": [5]}, "Each of videos must be a text, not 5."),
    ],
)
def test_a_search_with_a_value_of_another_type(options, message):
    with Client("grpc://127.0.0.1:1") as client, pytest.raises(InvalidRequest) as refused:
        client.search(**{"text": "a"} | options)
    assert str(refused.value) == message


@pytest.mark.parametrize("method", ["video", "shots", "delete", "transcript"])
def test_a_video_that_is_no_text(method):
    with Client("grpc://127.0.0.1:1") as client, pytest.raises(InvalidRequest, match="name of a video must be a text"):
        getattr(client, method)(5)


def test_a_stream_of_text_a_closed_one_a_pipe_and_no_stream(tmp_path):
    with (tmp_path / "a.mp4").open("w+") as text, pytest.raises(UnreadableVideo, match=r"'a\.mp4' is open as text"):
        upload_source(text)
    closed = io.BytesIO(b"a")
    closed.close()
    read, write = os.pipe()
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        for source in (closed, pipe, 5):
            with pytest.raises(UnreadableVideo, match="a path, or an open binary file that can seek"):
                upload_source(source)


def test_an_authority_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InvalidSetting, match=r"cannot be read from '.*none\.pem'"):
        Client("grpcs://127.0.0.1:1", tls_ca=tmp_path / "none.pem")
