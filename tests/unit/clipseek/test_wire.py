"""Documents as they arrive: every number as it was sent, and long lists in little room."""

import math

import pytest
from docarray.proto import DocListProto
from pydantic import Field

from clipseek.api.bounds import Vector
from clipseek.api.errors import InvalidRequest
from clipseek.schema import DocList, Query, QueryPart, Video, VideoSpan

NUMBERS = [0.1 * number for number in range(500)]


def sent(doc):
    """As it arrives, and the bytes it took."""
    message = DocListProto()
    data = DocList[type(doc)]([doc]).to_protobuf().SerializeToString()
    message.ParseFromString(data)
    [arrived] = DocList[type(doc)].from_protobuf(message)
    return arrived, len(data)


def test_long_lists_of_floats_arrive_as_they_were_sent_in_eight_bytes_each():
    parts = DocList[QueryPart]([QueryPart(text="b", embedding=NUMBERS[::-1]), QueryPart(text="c")])
    query = Query(text="a", embedding=NUMBERS, neutral_embedding=NUMBERS[1:], curve_scores=[0.5], parts=parts)
    arrived, size_bytes = sent(query)
    assert arrived.model_dump(exclude={"id", "parts"}) == query.model_dump(exclude={"id", "parts"})
    assert [part.embedding for part in arrived.parts] == [NUMBERS[::-1], []]
    assert arrived.packed == b"" and arrived.packed_lengths == {}
    assert size_bytes < 3 * 8 * len(NUMBERS) + 4000
    assert query.embedding == NUMBERS  # what is sent stays as it was


def test_what_is_no_number_or_a_large_one_arrives_as_well():
    odd = [*NUMBERS[:20], math.inf, -0.0, 5e-324]
    arrived, _ = sent(VideoSpan(video_id="a", pts_seconds=odd))
    assert arrived.pts_seconds == odd
    [nothing] = sent(VideoSpan(pts_seconds=[math.nan] * 16))[0].pts_seconds[:1]
    assert math.isnan(nothing)
    assert sent(Video(size_bytes=2**40))[0].size_bytes == 2**40


class OldQuery(Query):
    """As an earlier client knows it: a text had a second vector."""

    curve_embedding: Vector = Field(default=[])
    zoom: Vector = Field(default=[])  # packed after all others
    second_text: str = ""


@pytest.mark.parametrize("count", [2, 15, 16, 500])
def test_fields_that_this_version_does_not_know_are_ignored(count):
    """Packed and unpacked ones; what lies beside them arrives as it was sent."""
    own = {"embedding": NUMBERS, "neutral_embedding": NUMBERS[1:], "text": "a"}
    old = OldQuery(**own, curve_embedding=NUMBERS[:count], zoom=NUMBERS[:count], second_text="b")
    arrived = Query.from_protobuf(old.to_protobuf())
    assert {name: getattr(arrived, name) for name in own} == own
    assert arrived.packed == b"" and arrived.packed_lengths == {}
    assert Query.from_protobuf(arrived.to_protobuf()).embedding == NUMBERS  # and it can be sent on


def test_packed_numbers_never_replace_what_is_no_field():
    message = Query(packed=bytes(16), packed_lengths={"to_protobuf": 2}).to_protobuf()
    assert callable(Query.from_protobuf(message).to_protobuf)


def test_a_list_from_a_program_that_does_not_pack_is_taken_as_well():
    message = Query(text="a", embedding=[0.5] * 15).to_protobuf()
    assert Query.from_protobuf(message).embedding == [0.5] * 15


@pytest.mark.parametrize(
    "lengths",
    [
        {"embedding": 3},
        {"embedding": 1},
        {"embedding": 4, "neutral_embedding": -2},
        {"nothing": 3},
        {"nothing": -2},
        {"text": 2},
        {},
    ],
)
def test_packed_numbers_in_disorder_are_refused(lengths):
    message = Query(packed=bytes(16), packed_lengths=lengths).to_protobuf()
    with pytest.raises(InvalidRequest, match="packed numbers of a Query are damaged"):
        Query.from_protobuf(message)
