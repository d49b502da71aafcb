"""The client's messages are those of Jina and docarray, byte for byte of what counts."""

import math

import pytest
from docarray.proto import DocProto
from jina.proto import jina_pb2

import clipseek.api.documents
from clipseek import schema
from clipseek.api.base_document import Document, default_values, field_types
from clipseek.api.documents import Component, Cue, Query, QueryPart, Upload, Video, VideoSpan, WordSpan
from clipseek.api.errors import InvalidRequest, ServerFailed
from clipseek.wire.document_messages import read_document, write_document
from clipseek.wire.messages import Request

DOCUMENTS = [
    kind
    for kind in vars(clipseek.api.documents).values()
    if isinstance(kind, type) and issubclass(kind, Document) and kind is not Document
]
NUMBERS = [0.1 * number for number in range(40)]
EXAMPLES = [
    Query(text="水", parts=[QueryPart(text="b", weight=-1.5), QueryPart(image=b"\0\1")], curve_scores=NUMBERS, top_k=9),
    Query(text="a", video_ids=["a", "b"], curve_pts_seconds=[0.5], embedding=[1.0, *NUMBERS], all_matches=True),
    Upload(offset=2**40, data=bytes(100), missing_offsets=[1, 2**33]),
    Video(video_id="a", picture_fill=[1, 2, 3], first_seconds=-1.0, has_audio=True),
    WordSpan(cues=[Cue(text="c", confidence=0.5)], stills=[b"a", b"b"]),
    VideoSpan(pts_seconds=[*NUMBERS, math.inf], blank=[True, False]),
    Component(name="indexer", ok=False, facts={"a": "b"}),
]


def message_of(document):
    request = Request()
    write_document(document, request.data.docs.docs.add())
    return request.data.docs.docs[0]


def derived(document):
    """The same document as docarray has it."""
    values = {name: getattr(document, name) for name in field_types(type(document))}
    for name, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], Document):
            values[name] = [derived(inner) for inner in value]
    return schema.document_class(type(document))(**values)


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: type(document).__name__)
def test_what_the_client_writes_docarray_reads_and_the_other_way_round(document):
    sent = DocProto.FromString(message_of(document).SerializeToString())
    arrived = type(derived(document)).from_protobuf(sent)
    assert arrived.to_dict() == document.to_dict()
    answer = type(message_of(document)).FromString(arrived.to_protobuf().SerializeToString())
    assert read_document(answer, type(document)) == document


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: type(document).__name__)
def test_the_client_sends_documents_of_the_schema_too(document):
    assert message_of(derived(document)) == message_of(document)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_both_have_the_same_fields_with_the_same_defaults(kind):
    ours, theirs = kind(), schema.document_class(kind)()
    assert isinstance(theirs, kind)
    assert set(type(theirs).model_fields) == {*field_types(kind), "id", "packed", "packed_lengths"}
    assert {name: getattr(theirs, name) for name in field_types(kind)} == default_values(kind) == vars(ours)
    assert kind.question | kind.internal <= {*field_types(kind), "neutral_embedding"}


def test_jina_reads_the_header_that_the_client_writes():
    request = Request()
    request.header.exec_endpoint, request.header.target_executor = "/search", "text_encoder|indexer"
    read = jina_pb2.DataRequestProto.FromString(request.SerializeToString())
    assert (read.header.exec_endpoint, read.header.target_executor) == ("/search", "text_encoder|indexer")
    answer = jina_pb2.DataRequestProto()
    answer.header.status.code = jina_pb2.StatusProto.ERROR
    answer.header.status.exception.name = "AccessDenied"
    answer.header.status.exception.args.extend(["No.", "{}"])
    status = Request.FromString(answer.SerializeToString()).header.status
    assert (status.code, status.exception.name, list(status.exception.args)) == (1, "AccessDenied", ["No.", "{}"])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (Query(top_k=2.5), "top_k must be a whole number, not 2.5."),
        (Query(text=None), "text must be a text, not None."),
        (Query(video_ids="abc"), "video_ids must be a list, not 'abc'."),
        (Query(video_ids=[1]), "Each of video_ids must be a text, not 1."),
        (Query(all_matches="no"), "all_matches must be True or False, not 'no'."),
        (Query(parts=["a"]), "Each of parts must be a QueryPart, not 'a'."),
        (Upload(data="abc"), "data must be bytes, not 'abc'."),
    ],
)
def test_a_value_of_another_type_is_refused_by_the_name_of_its_field(document, message):
    with pytest.raises(InvalidRequest) as refused:
        message_of(document)
    assert str(refused.value) == message


def test_an_answer_of_a_later_version_is_read_and_a_damaged_one_is_not():
    message = message_of(Query(text="a"))
    message.data["fresh"].text = "b"
    assert read_document(message, Query) == Query(text="a")
    message.data["top_k"].text = "many"
    with pytest.raises(ServerFailed, match="damaged Query: top_k must be a whole number, not 'many'"):
        read_document(message, Query)
    message = message_of(Query(curve_scores=NUMBERS))
    message.data["packed"].blob = b"1"
    with pytest.raises(ServerFailed, match="damaged Query: The packed numbers"):
        read_document(message, Query)


def test_a_result_is_data_for_json_without_what_executors_leave_for_each_other():
    answer = Query(text="a", embedding=[1.0], parts=[QueryPart(text="b", image=b"c")], warnings=["w"]).to_dict()
    assert answer["warnings"] == ["w"] and answer["parts"][0]["text"] == "b"
    assert not {"embedding", "packed", "neutral_embedding", "zero_cosine"} & answer.keys()
    assert "image" not in answer["parts"][0]
