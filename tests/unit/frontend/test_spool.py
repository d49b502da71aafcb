"""Large uploads: taken apart as they arrive, and handed over for a ticket, once."""

import io

import pytest

from frontend.spool import OnePart, Spool

HEAD = b'--xyz\r\nContent-Disposition: form-data; name="f"; filename="a.mp4"\r\n\r\n'
END = b"\r\n--xyz--\r\n"
FILM = b"\r\n\r\n--xyz film \r\n--xy" * 50


@pytest.mark.parametrize("piece_bytes", [1, 7, 64, 100_000])
def test_the_file_is_what_lies_between_the_boundaries(piece_bytes):
    body, file = HEAD + FILM + END, io.BytesIO()
    part = OnePart(b"xyz", file)
    for start in range(0, len(body), piece_bytes):
        part.feed(body[start : start + piece_bytes])
    part.finish()
    assert file.getvalue() == FILM
    assert part.head == HEAD and part.end == END


def test_a_body_that_is_not_whole_is_refused():
    part = OnePart(b"xyz", io.BytesIO())
    part.feed(HEAD + FILM)
    with pytest.raises(ValueError, match="without its end"):
        part.finish()
    with pytest.raises(ValueError, match="do not end"):
        OnePart(b"xyz", io.BytesIO()).feed(b"x" * 70_000)


def test_a_ticket_is_good_once_and_not_for_ever(tmp_path):
    now = [0.0]
    spool = Spool(lambda: now[0])
    film, late = tmp_path / "film.part", tmp_path / "late.part"
    late.write_bytes(b"late")
    ticket = spool.put(film)
    assert spool.take(b"film") is None
    assert spool.take(ticket) is film and spool.take(ticket) is None
    stale = spool.put(late)
    now[0] = 4000.0
    spool.put(film)
    assert not late.exists() and spool.take(stale) is None
