"""What a request weighs, told from its bytes, against what protobuf parses from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jina.proto import jina_pb2
from jina.types.request.data import DataRequest

from clipseek.api.errors import ClipSeekError, InvalidRequest
from clipseek.schema import DocList, Query, QueryPart
from executors.flow.gateway.request_size import MAX_FIELDS, measure_request
from tests.protobuf import documents, varint


def serialized(queries: list[Query]) -> bytes:
    request = DataRequest()
    request.header.exec_endpoint = "/search"
    request.parameters = {"a": [1, {"b": "c"}]}
    request.data.docs = DocList[Query](queries)
    return request.proto_with_data.SerializeToString()


@given(st.lists(st.integers(0, 5), max_size=8), st.binary(max_size=300))
def test_documents_count_with_those_inside_them(parts, image):
    queries = [Query(text="é", parts=DocList[QueryPart]([QueryPart(image=image)] * count)) for count in parts]
    data = serialized(queries)
    size = measure_request(data)
    assert (size.size_bytes, size.documents) == (len(data), len(parts) + sum(parts))


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 100))
def test_damaged_bytes_are_refused_by_name_or_measured(noise, place, removed):
    data = serialized([Query(text="a cat")])
    damaged = data[:place] + noise + data[place + removed :]
    try:
        documents = measure_request(damaged).documents
    except ClipSeekError:
        return
    try:
        parsed = jina_pb2.DataRequestProto.FromString(damaged)
    except Exception:  # noqa: BLE001 (what protobuf refuses never reaches a document)
        return
    assert documents >= len(parsed.data.docs.docs)


def test_many_empty_documents_are_refused_before_they_take_memory():
    empty = b"\n\x00" * 10_000_000
    data = documents(empty)
    with pytest.raises(InvalidRequest, match=f"more than {MAX_FIELDS} fields"):
        measure_request(data)
    data = documents(empty[:200])
    assert measure_request(data).documents == len(jina_pb2.DataRequestProto.FromString(data).data.docs.docs) == 100


@pytest.mark.parametrize("length", [10, 100_000, 5_000_000])
def test_endless_numbers_are_refused_at_once(length):
    """Reading them took time with the square of their length."""
    for digit in (b"\xff", b"\x80"):
        for data in (b"\x08" + digit * length + b"\x01", digit * length + b"\x01", b'"' + digit * length + b"\x01"):
            with pytest.raises(InvalidRequest, match="damaged"):
                measure_request(data)


def test_fields_that_no_request_has_are_refused_unread():
    blob = varint(1_000_000) + bytes(1_000_000)
    for data in (
        b"\x7a" + blob,
        serialized([Query(text="a cat")]) + b"\x7a" + blob,
        b'"' + varint(5) + b"\x78\x01" * 2,
    ):
        with pytest.raises(InvalidRequest):
            measure_request(data)


def test_each_number_of_a_packed_list_counts():
    request = jina_pb2.DataRequestProto()
    node = request.data.docs.docs.add().data["x"]
    node.ndarray.dense.shape.extend([1] * (MAX_FIELDS + 1))
    with pytest.raises(InvalidRequest, match="fields"):
        measure_request(request.SerializeToString())


def test_the_endpoint_is_read_without_parsing():
    assert measure_request(serialized([Query(text="a cat")])).endpoint == "/search"


def test_a_text_or_a_message_in_another_form_is_refused():
    """Protobuf would leave the field out, and read another one."""
    endpoint_as_number = b"\x0a\x02\x18\x07"
    headers_as_numbers = b"\x08\x01", b"\x09" + bytes(8)
    for damaged in (endpoint_as_number, *headers_as_numbers):
        with pytest.raises(InvalidRequest, match="damaged"):
            measure_request(serialized([Query(text="a cat")]) + damaged)


def test_documents_as_bytes_are_refused():
    request = jina_pb2.DataRequestProto()
    request.data.docs_bytes = b"pickled"
    with pytest.raises(InvalidRequest, match="does not read"):
        measure_request(request.SerializeToString())


def test_as_many_fields_as_are_allowed_pass():
    request = jina_pb2.DataRequestProto()
    dense = request.data.docs.docs.add().data["x"].ndarray.dense
    dense.shape.extend([1] * (MAX_FIELDS - 100))
    left = MAX_FIELDS - measure_request(request.SerializeToString()).fields
    dense.shape.extend([1] * left)
    assert measure_request(request.SerializeToString()).fields == MAX_FIELDS
    dense.shape.append(1)
    with pytest.raises(InvalidRequest, match="fields"):
        measure_request(request.SerializeToString())


def test_numbers_of_every_length_are_passed_over():
    request = jina_pb2.DataRequestProto()
    data = request.data.docs.docs.add().data
    data["negative"].integer, data["half"].float, data["last"].text = -1, 0.5, "x"
    request.routes.add().start_time.nanos = -1
    request.header.exec_endpoint = "/search"
    size = measure_request(request.SerializeToString())
    assert (size.documents, size.endpoint) == (1, "/search")


def test_what_reaches_beyond_the_message_it_is_in_is_cut_off():
    document = b"\n\x03\n\x01k"
    within = documents(b"\n\x05" + document)
    assert measure_request(within).documents == 1
    for data in (documents(b"\n\x05") + document, within[:-1], within[:4]):
        with pytest.raises(InvalidRequest, match="cut off"):
            measure_request(data)
