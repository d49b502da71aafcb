"""The messages of flow.proto as classes, in a pool of their own: Jina's have the same names."""

from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pool, message_factory

from clipseek.wire.proto_file import read_proto

METHOD = "/jina.JinaSingleDataRequestRPC/process_single_data"  # takes a Request, and answers with one
ERROR = 1  # the code of a refused or failed request


def _request_class() -> Any:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(read_proto(files("clipseek.wire").joinpath("flow.proto").read_text(encoding="utf-8"), "flow.proto"))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("jina.DataRequestProto"))


Request = _request_class()
