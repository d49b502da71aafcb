"""The one table of search options, and what derives from it."""

import math

import pytest

from clipseek.api.base_document import default_values, field_types
from clipseek.api.documents import Query, QueryPart
from clipseek.api.errors import InvalidRequest, InvalidTimeRange, InvalidTopK
from clipseek.api.search_options import QUERY_FIELDS, QueryOptions, SearchOptions, check_query, options_of, value_type
from clipseek.client.queries import build_query


def test_the_options_that_are_sent_are_fields_of_a_query_with_the_same_type_and_default():
    for name in QUERY_FIELDS:
        field = (field_types(Query)[name], default_values(Query)[name])
        assert field == (value_type(name), value_type(name)()), name
    others = set(options_of(SearchOptions)) - set(QUERY_FIELDS)
    assert others == {"also", "without", "image", "like", "parts", "look_in", "videos"}


def test_flags_and_parameters_of_the_address_are_unique():
    rows = options_of(SearchOptions).values()
    flags = [flag for option in rows for flag in option.flags.split()]
    addresses = [option.address for option in rows if option.address]
    assert len(set(flags)) == len(flags) and len(set(addresses)) == len(addresses)
    assert all(option.help.endswith((".", "]")) for option in rows)


def test_a_query_is_made_of_the_options():
    query = build_query(
        "a dog",
        {"without": ["snow"], "videos": ["b"], "least_score": 0.5, "group_by_video": True},
        lambda name: name * 3,
        top_k=7,
        offset=14,
    )
    assert (query.text, query.top_k, query.offset, query.video_ids) == ("a dog", 7, 14, ["bbb"])
    assert (query.least_score, query.group_by_video, query.per_video) == (0.5, True, 0)
    assert [(part.text, part.weight) for part in query.parts] == [("snow", -1.0)]
    with pytest.raises(TypeError, match="'videos'"):
        build_query("a dog", {"videos": ["b"]}, str, kind=QueryOptions, top_k=1)


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ("heard", ["heard"]),
        ("Heard, written,", ["heard", "written"]),
        (["seen", "written,seen"], ["seen", "written"]),
        ((), []),
        ("", []),
    ],
)
def test_where_to_look_is_one_text_or_several(value, kinds):
    assert build_query("a dog", {"look_in": value}, str, top_k=1).look_in == kinds


@pytest.mark.parametrize("value", ["said", ["seen", "subtitles"], "seen heard"])
def test_where_to_look_names_what_there_is(value):
    with pytest.raises(InvalidRequest, match="look_in must be any of seen, heard, written, not '"):
        build_query("a dog", {"look_in": value}, str, top_k=1)
    with pytest.raises(InvalidRequest, match="look_in must be any of"):
        check_query(Query(text="a dog", look_in=[value] if isinstance(value, str) else value))


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"top_k": 0}, InvalidTopK, "top_k must be from 1 to 1000, not 0."),
        ({"offset": -1}, InvalidRequest, "offset must be from 0 to 10000, not -1."),
        ({"least_score": 5.0}, InvalidRequest, "least_score must be from 0 to 1, not 5."),
        ({"least_score": math.nan}, InvalidRequest, "least_score must be from 0 to 1, not nan."),
        ({"padding_seconds": -0.5}, InvalidRequest, "padding_seconds must be 0 or more, not -0.5."),
        ({"minimum_seconds": math.inf}, InvalidRequest, "minimum_seconds must be 0 or more, not inf."),
        ({"per_video": -2}, InvalidRequest, "per_video must be 0 or more, not -2."),
        ({"start_seconds": -1.0}, InvalidTimeRange, "start_seconds must be 0 or more, not -1."),
        (
            {"start_seconds": 9.0, "end_seconds": 3.0},
            InvalidTimeRange,
            "end_seconds must be later than start_seconds: 3 s is not later than 9 s.",
        ),
        ({"maximum_seconds": 0.001}, InvalidRequest, "maximum_seconds must be 0.01 or more, not 0.001."),
        (
            {"minimum_seconds": 3.0, "maximum_seconds": 1.0},
            InvalidRequest,
            "maximum_seconds must not be below minimum_seconds: 1 s is below 3 s.",
        ),
        (
            {"parts": [QueryPart(text="x", weight=0.0)]},
            InvalidRequest,
            "The weight of part 1 of the query is 0. "
            "Use a number above 0 to look for the part, or below 0 to avoid it.",
        ),
        (
            {"parts": [QueryPart(text="x", image=b"y")]},
            InvalidRequest,
            "Part 1 of the query is of several kinds. Make each part a text, an image or a frame.",
        ),
    ],
)
def test_values_out_of_range_are_refused_by_name(values, error, message):
    with pytest.raises(error) as caught:
        check_query(Query(**{"text": "a dog"} | values))
    assert str(caught.value) == message
