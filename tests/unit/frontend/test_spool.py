"""Large uploads: taken apart as they arrive, and handed over for a ticket, once."""

import io

import pytest

from frontend.uploads.spool import OnePart, Spool

HEAD = b'--xyz\r\nContent-Disposition: form-data; name="f"; filename="a.mp4"\r\n\r\n'
END = b"\r\n--xyz--\r\n"
VIDEO = b"\r\n\r\n--xyz video \r\n--xy" * 50


@pytest.mark.parametrize("piece_bytes", [1, 7, 64, 100_000])
def test_the_file_is_what_lies_between_the_boundaries(piece_bytes):
    body, file = HEAD + VIDEO + END, io.BytesIO()
    part = OnePart(b"xyz", file)
    for start in range(0, len(body), piece_bytes):
        part.feed(body[start : start + piece_bytes])
    part.finish()
    assert file.getvalue() == VIDEO
    assert part.head == HEAD and part.end == END


def test_a_body_that_is_not_whole_is_refused():
    part = OnePart(b"xyz", io.BytesIO())
    part.feed(HEAD + VIDEO)
    with pytest.raises(ValueError, match="without its end"):
        part.finish()
    with pytest.raises(ValueError, match="do not end"):
        OnePart(b"xyz", io.BytesIO()).feed(b"x" * 70_000)


def test_a_ticket_is_good_once_and_not_for_ever(tmp_path):
    now = [0.0]
    spool = Spool(lambda: now[0])
    video, late = tmp_path / "video.part", tmp_path / "late.part"
    late.write_bytes(b"late")
    ticket = spool.put(video)
    assert spool.take(b"video") is None
    assert spool.take(ticket) is video and spool.take(ticket) is None
    stale = spool.put(late)
    now[0] = 4000.0
    spool.put(video)
    assert not late.exists() and spool.take(stale) is None
