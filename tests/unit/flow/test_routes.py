"""The table of endpoints against the executors: who answers a request, and with which document."""

import ast
import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from jina.serve.runtimes.gateway.streamer import GatewayStreamer

from clipseek.api.endpoints import ENDPOINTS, EXECUTORS, INDEXER, endpoint_of, target_name
from clipseek.api.errors import InvalidRequest
from clipseek.schema import document_class
from executors.flow.quirks.own_connections import describe_endpoints

ROOT = Path(__file__).parents[3] / "executors"
FOLDERS = ("video_loader", "word_reader", "clip_encoder/image", "clip_encoder/text", "faiss_indexer")


def handlers(folder: str) -> dict[str, str]:
    """The endpoints that an executor answers itself, and the name of the document of each."""
    answered = {}
    files = sorted((ROOT / folder).glob("*executor.py"))
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))):
        for decorator in getattr(node, "decorator_list", []):
            if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "endpoint":
                answered[decorator.args[0].value] = node.args.args[1].annotation.id
    return answered


@pytest.mark.parametrize(("executor", "folder"), list(zip(EXECUTORS, FOLDERS, strict=True)))
def test_an_executor_answers_the_endpoints_that_the_table_says_with_its_documents(executor, folder):
    table = {path: row.document.__name__ for path, row in ENDPOINTS.items() if executor in row.executors}
    table.pop("/health")  # answered by the base executor
    assert {path: name for path, name in handlers(folder).items() if not path.startswith("/shard/")} == table


def test_a_request_goes_to_those_who_answer_it():
    for row in ENDPOINTS.values():
        assert row.route("") == row.route(target_name(row.executors)) == row.executors


def test_only_what_the_table_says_is_sent_to_some_executors():
    """Clients of 0.1 wrote the names as regular expressions."""
    shortcuts = {path: row.shortcuts for path, row in ENDPOINTS.items() if row.shortcuts}
    without_images = (("text_encoder", "indexer"),)
    assert shortcuts == {
        "/search": without_images,
        "/timeline": without_images,
        "/health": tuple((name,) for name in EXECUTORS),
        "/models": (("indexer",),),
        "/switch_model": (("image_encoder", "indexer"),),
    }
    for target in ("text_encoder|indexer", "^(text_encoder|indexer)$"):
        assert ENDPOINTS["/search"].route(target) == ("text_encoder", "indexer")
    for target in ("indexer", "^indexer$", "indexer|text_encoder", "^" + ".*" * 20 + "!", ".*", "nobody"):
        with pytest.raises(InvalidRequest, match="/search cannot be sent to the executor"):
            ENDPOINTS["/search"].route(target)
    for path in ("/probe", "/index", "/delete", "/calibrate"):
        for name in EXECUTORS:
            with pytest.raises(InvalidRequest):
                ENDPOINTS[path].route(name)


def test_what_goes_to_the_indexer_alone():
    """docs/security.md names these: no executor before it has checked or filled in their documents."""
    alone = {path for path, row in ENDPOINTS.items() if (INDEXER,) in (row.executors, *row.shortcuts)}
    jobs = {"/job", "/jobs", "/cancel_job", "/lease_job", "/report_job"}
    models, words = {"/model", "/models", "/forget_model"}, {"/transcript", "/correct_cue"}
    assert alone == {"/videos", "/health", *jobs, *models, *words}


def test_an_endpoint_that_does_not_exist_is_refused():
    for path in ("", "/", "/shard/search", "/searchX", "_jina_dry_run_", "x" * 1000):
        with pytest.raises(InvalidRequest, match="There is no endpoint"):
            endpoint_of(path)


def test_a_gateway_knows_all_endpoints_and_their_documents_without_asking_an_executor():
    chain = dict(pairwise(["start-gateway", *EXECUTORS, "end-gateway"]))
    streamer = GatewayStreamer({name: [following] for name, following in chain.items()}, {})
    describe_endpoints(streamer.topology_graph)
    asyncio.run(streamer._get_endpoints_input_output_models(None))
    streamer._validate_flow_docarray_compatibility()
    found = streamer._endpoints_models_map
    assert set(found) - {"_jina_dry_run_"} == set(ENDPOINTS)
    assert all(
        found[path]["input"] is found[path]["output"] is document_class(row.document) for path, row in ENDPOINTS.items()
    )
