"""Labels of metrics are names out of the code: endpoints and errors that are not ours have one name together."""

import asyncio

import pytest
from jina.serve.executors import __dry_run_endpoint__ as DRY_RUN  # noqa: N812 (a constant)

from clipseek.api.endpoints import ENDPOINTS, INDEXER
from clipseek.api.errors import VideoNotFound
from clipseek.config.settings import Settings
from executors.faiss_indexer.executor import FaissIndexer
from executors.flow import metrics
from tests.unit.flow.door_server import refusals


def test_an_executor_exposes_the_endpoints_that_it_answers_and_no_others(tmp_path):
    indexer = FaissIndexer(Settings(tmp_path, tmp_path), runtime_args={"name": "indexer"})
    offered = {path for path in indexer.requests if path.startswith("/")}
    indexer.close()
    assert offered == {path for path, row in ENDPOINTS.items() if INDEXER in row.executors}


@pytest.mark.parametrize(("error", "name"), [(VideoNotFound("no"), "VideoNotFound"), (KeyError("no"), "other")])
def test_errors_are_counted_by_names_of_ours(error, name):
    before = refusals("indexer", "/search", name)
    with pytest.raises(type(error)), metrics.under_way("indexer", "/search"):
        raise error
    assert refusals("indexer", "/search", name) == before + 1


def test_no_metric_has_a_label_for_callers_libraries_or_videos():
    made = [metric for metric in vars(metrics).values() if hasattr(metric, "_labelnames")]
    assert len(made) == 7
    labels = {label for metric in made for label in metric._labelnames}
    assert labels == {"executor", "endpoint", "error", "step", "cache"}


def test_what_a_caller_names_is_no_label():
    before = refusals("gateway", "other", "VideoNotFound")
    metrics.Arrival("/no-such-endpoint").refused(VideoNotFound("no"))
    assert refusals("gateway", "other", "VideoNotFound") == before + 1


@pytest.mark.filterwarnings("ignore:Install `uvloop`")
def test_the_indexer_answers_a_dry_run_by_which_jinas_clients_ask_whether_the_flow_is_ready(tmp_path):
    indexer = FaissIndexer(Settings(tmp_path, tmp_path), runtime_args={"name": "indexer"})
    try:
        asyncio.run(indexer.__acall__(DRY_RUN, docs=None, parameters={}, tracing_context=None))
    finally:
        indexer.close()
