"""The gateway knows which model answers in a library, and goes on with what it knew while the indexer is away."""

import asyncio

import pytest
from jina.types.request.data import DataRequest

from clipseek.api.errors import ServerNotReady, StoreCorrupt
from clipseek.schema import DocList, Model
from executors.flow.callers import Verifier
from executors.flow.gateway import library_models
from executors.flow.gateway.library_models import LibraryModels

SECRET = "5e" * 32
SEARCH = ("text_encoder", "indexer")


class Pool:
    def __init__(self):
        self.names, self.asked, self.error, self.answered_error = {"main": "old"}, [], None, None
        self._verifier = Verifier(SECRET, "indexer")

    async def send_requests_once(self, requests, deployment):
        [request] = requests
        caller = self._verifier.caller(dict(request.parameters), request.header.exec_endpoint)
        self.asked.append(caller.library)
        if self.error:
            raise self.error
        answer = DataRequest()
        if self.answered_error:
            answer.add_exception(self.answered_error)
            return answer, {"is-error": "true"}
        answer.data.docs = DocList[Model]([Model(name=self.names[caller.library])])
        return answer, {}


@pytest.fixture
def pool():
    return Pool()


@pytest.fixture
def models(pool):
    return LibraryModels(pool, SECRET)


@pytest.fixture
def name_for(models):
    return lambda route=SEARCH, library="main": asyncio.run(models.name_for(route, library))


def test_the_indexer_is_asked_once_a_second_for_each_library(pool, models, name_for, monkeypatch):
    pool.names["press"] = "starter"
    assert [name_for(), name_for(), name_for(library="press")] == ["old", "old", "starter"]
    assert pool.asked == ["main", "press"]
    pool.names["main"] = "newer"
    assert name_for() == "old"
    models.forget("main")  # the gateway has seen the switch
    assert name_for() == "newer"
    pool.names["main"] = "new"
    monkeypatch.setattr(library_models, "FRESH_SECONDS", 0.0)
    assert name_for() == "new"


def test_requests_that_no_model_concerns_do_not_ask(pool, name_for):
    for route in (("indexer",), ("video_loader",), ("text_encoder",), ("video_loader", "indexer")):
        assert name_for(route) == ""
    assert pool.asked == []


@pytest.mark.parametrize("error", [ServerNotReady("The indexer is away.", executor="indexer"), TimeoutError()])
def test_no_model_is_guessed_for_a_library_that_nobody_has_asked_about(pool, name_for, error):
    pool.error = error
    for _ in range(2):
        with pytest.raises(ServerNotReady, match="indexer") as raised:
            name_for()
        assert raised.value.executor == "indexer"
    pool.error = None
    assert name_for() == "old"
    pool.names["new"] = ""
    assert [name_for(library="new") for _ in range(2)] == ["", ""]  # it has none: the server's own


def test_an_error_of_the_indexer_is_passed_on_where_nothing_is_known(pool, name_for):
    pool.answered_error = StoreCorrupt("The store is damaged.")
    with pytest.raises(StoreCorrupt, match="is damaged"):
        name_for()


@pytest.mark.parametrize("error", [ServerNotReady("away"), TimeoutError()])
def test_while_the_indexer_is_away_the_last_answer_holds(pool, name_for, monkeypatch, error):
    monkeypatch.setattr(library_models, "FRESH_SECONDS", 0.0)
    assert name_for() == "old"
    pool.error = error
    assert name_for() == "old"
    pool.error, pool.names["main"] = None, "new"
    assert name_for() == "new"
