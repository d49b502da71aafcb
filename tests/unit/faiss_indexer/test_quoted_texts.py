"""A message quotes the start of what a caller wrote, however long it is."""

import pytest

from clipseek.api.errors import MOST_CHARACTERS, ClipSeekError, InvalidRequest, error_from_name
from clipseek.api.formats import excerpt
from clipseek.config.access import SERVER
from clipseek.schema import Job, QueryPart, Video
from executors.flow.callers import Caller
from tests.indexer_service import Service, fill, query, registered, span_of

LONG = "x" * 100_000  # as much as a field may have


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("home"))
    fill(service, 1)
    service.ask("/lease_job", Job(runner="r"), Caller(SERVER))
    yield service
    service.close()


@pytest.mark.parametrize(
    ("endpoint", "doc"),
    [
        ("/videos", Video(video_id=LONG)),
        ("/probe", registered(0).model_copy(update={"sampling": LONG})),
        ("/index", span_of(0).model_copy(update={"video_id": LONG})),
        ("/index", span_of(0).model_copy(update={"sampling": LONG})),
        ("/job", Job(video_id=LONG)),
        ("/job", Job(kind=LONG)),
        ("/jobs", Job(job_id=LONG)),
        ("/cancel_job", Job(job_id=LONG)),
        ("/search", query(QueryPart(video_id=LONG))),
        ("/search", query(QueryPart(text=LONG))),
    ],
)
def test_the_answer_to_a_long_text_is_short(service, endpoint, doc):
    with pytest.raises(ClipSeekError) as refused:
        service.ask(endpoint, doc)
    assert len(str(refused.value)) < 400


def test_no_message_is_longer_than_the_most():
    """Also where a text is quoted whole; the data of an error is not cut."""
    error = InvalidRequest("x" * 8_000_000)
    assert len(str(error)) == len(error.args[0]) == MOST_CHARACTERS
    assert len(str(error_from_name("InvalidRequest", "y" * 8_000_000))) == MOST_CHARACTERS


def test_an_excerpt_shows_that_something_is_left_out():
    assert excerpt("x" * 80) == "x" * 80
    assert excerpt("x" * 81) == "x" * 80 + "..."
