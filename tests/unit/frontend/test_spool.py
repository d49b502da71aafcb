"""Large uploads: written to a file as they arrive, and handed over once, for a ticket."""

import io

import pytest

from frontend.uploads.quirks import Spool, UploadBody

HEAD = b'--xyz\r\nContent-Disposition: form-data; name="f"; filename="a.mp4"\r\n\r\n'
END = b"\r\n--xyz--\r\n"
VIDEO = b"\r\n\r\n--xyz video \r\n--xy" * 50


@pytest.mark.parametrize("piece_bytes", [1, 7, 64, 100_000])
def test_the_file_is_what_lies_between_the_boundaries(piece_bytes):
    body, file = HEAD + VIDEO + END, io.BytesIO()
    upload = UploadBody(b"xyz", file)
    for start in range(0, len(body), piece_bytes):
        upload.feed(body[start : start + piece_bytes])
    upload.finish()
    assert file.getvalue() == VIDEO
    assert upload.head == HEAD and upload.end == END


def test_an_incomplete_upload_is_refused():
    upload = UploadBody(b"xyz", io.BytesIO())
    upload.feed(HEAD + VIDEO)
    with pytest.raises(ValueError, match="is incomplete"):
        upload.finish()
    with pytest.raises(ValueError, match="do not end"):
        UploadBody(b"xyz", io.BytesIO()).feed(b"x" * 70_000)


def test_a_ticket_works_once_and_expires(tmp_path):
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
