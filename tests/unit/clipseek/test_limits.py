"""The limits that an operator sets, and the checks of documents: what each refuses, and how it says so."""

import math

import pytest

from clipseek.api.errors import InvalidRequest, InvalidTimeRange, LimitExceeded
from clipseek.config.declaration import rows_of
from clipseek.config.limits import Limits
from clipseek.config.settings import Settings
from clipseek.schema import (
    Calibration,
    Clip,
    Component,
    Health,
    Query,
    QueryPart,
    Reel,
    Thumbnail,
    Upload,
    Video,
    VideoSpan,
)
from executors.flow.document_checks import check_document, check_frame_times

DOCUMENTS = (Upload, Video, VideoSpan, Query, QueryPart, Calibration, Clip, Reel, Thumbnail, Health, Component)
WHOLE, REAL, LISTS = (int, list[int]), (float, list[float]), (list[int], list[float])
IMPOSSIBLE = [
    (kind, name, [0, value] if field.annotation in LISTS else value)
    for kind in DOCUMENTS
    for name, field in kind.model_fields.items()
    for kinds, values in ((WHOLE, (-(10**18), 10**18)), (REAL, (math.nan, math.inf, -math.inf, -1e300, 1e300)))
    if field.annotation in kinds
    for value in values
]


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path, tmp_path)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_the_defaults_of_every_document_are_within_its_bounds(kind):
    kind().check_bounds()


@pytest.mark.parametrize(("kind", "name", "value"), IMPOSSIBLE)
def test_no_field_takes_a_number_that_cannot_be(kind, name, value, settings):
    doc = kind().model_copy(update={name: value})
    with pytest.raises(InvalidTimeRange if name.endswith("_seconds") else InvalidRequest, match=name):
        check_document(doc, settings)


@pytest.mark.parametrize(
    ("doc", "variable"),
    [
        (Query(text="x" * 10_001), "CLIPSEEK_MAX_QUERY_CHARACTERS"),
        (Query(parts=[QueryPart(text="x" * 10_001)]), "CLIPSEEK_MAX_QUERY_CHARACTERS"),
        (Query(parts=[QueryPart(text="x")] * 33), "CLIPSEEK_MAX_QUERY_PARTS"),
        (Query(parts=[QueryPart(image=b"x")] * 9), "CLIPSEEK_MAX_QUERY_IMAGES"),
        (Video(duration_seconds=172_801), "CLIPSEEK_MAX_VIDEO_HOURS"),
        (Video(duration_seconds=80_000, frames_per_second=20), "CLIPSEEK_MAX_VIDEO_FRAMES"),
        (VideoSpan(pts_seconds=[0.0] * 4001), "CLIPSEEK_MAX_SPAN_FRAMES"),
    ],
)
def test_limits_are_told_with_their_setting(doc, variable, settings):
    with pytest.raises(LimitExceeded, match=variable):
        check_document(doc, settings)


@pytest.mark.parametrize(
    "doc",
    [
        Query(text="x" * 100_001),
        Query(parts=[QueryPart(text="x", zero_cosine=0.1, one_cosine=0.1 + 1e-9)]),
        Query(text="x", embedding=[1.0, math.nan, 2.0]),
        Calibration(answered_share=1.0),
        Reel(video_ids=["a"], start_seconds=[0.0]),
        Health(components=[Component(facts={"x" * 100_001: ""})]),
        Upload(title="x" * 100_001),
        Query(zero_cosine=0.1, one_cosine=0.1 + 1e-9),
        Query(zero_cosine=-3.0),
        Query(parts=[QueryPart(text="x", weight=1e9)]),
        VideoSpan(pts_seconds=[0.0], blank=[True, False]),
        VideoSpan(picture_width=5000),
    ],
)
def test_values_that_do_not_fit_are_refused(doc, settings):
    with pytest.raises(InvalidRequest):
        check_document(doc, settings)


@pytest.mark.parametrize(("start", "end", "times"), [(1, 1, []), (2, 1, []), (0, 1, [0.5, 0.5]), (0, 1, [1.0])])
def test_times_of_frames_rise_inside_their_span(start, end, times):
    check_frame_times(VideoSpan(end_seconds=1.0, pts_seconds=[0.0, 0.5]))
    with pytest.raises(InvalidTimeRange):
        check_frame_times(VideoSpan(start_seconds=start, end_seconds=end, pts_seconds=times))


def test_a_value_out_of_bounds_is_named_with_its_bounds(settings):
    with pytest.raises(InvalidTimeRange, match="at_seconds is -1, but must be a number from 0 to 1e\\+09"):
        check_document(Query(parts=[QueryPart(at_seconds=-1.0)]), settings)
    with pytest.raises(InvalidRequest, match="weight is nan, but must be a number from -1e\\+06 to 1e\\+06"):
        check_document(Query(parts=[QueryPart(weight=math.nan)]), settings)


def test_whole_numbers_beyond_32_bit_arrive_as_they_were_sent():
    sent = Upload(size_bytes=5 * 2**30, missing_offsets=[0, 2**33])
    got = Upload.from_protobuf(sent.to_protobuf())
    assert (got.size_bytes, got.missing_offsets) == (5 * 2**30, [0, 2**33])
    assert isinstance(got.size_bytes, int) and sent.missing_offsets == [0, 2**33]


@pytest.mark.parametrize(
    ("megabytes", "told"), [(300, 300_000_000), (2147.0, 2_147_000_000), (5000, -1), (1e20, -1), (math.inf, -1)]
)
def test_a_limit_of_requests_that_grpc_cannot_be_told_is_none(megabytes, told, tmp_path):
    assert Settings(tmp_path, tmp_path, max_request_mb=megabytes).max_request_bytes == told


@pytest.mark.parametrize(("name", "row"), rows_of(Limits).items())
def test_every_limit_is_set_by_its_variable(name, row):
    assert getattr(Settings.from_env({}), name) == float(row.default)
    assert getattr(Settings.from_env({row.variable: "7"}), name) == 7
    assert getattr(Settings.from_env({row.variable: "inf"}), name) == math.inf
    assert Settings.from_env({}) == Settings(Settings.from_env({}).home, Settings.from_env({}).cache)
