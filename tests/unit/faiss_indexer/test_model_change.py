"""The change of a library's model in the indexers: each query gets the vectors of its own model, before and after."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from clipseek.api.errors import AccessDenied, InvalidRequest, ModelMismatch, NotFound
from clipseek.api.limits import CHANGE_MODEL
from clipseek.config.access import SERVER
from clipseek.schema import Health, Job, Model, Query
from executors.faiss_indexer import model_executor, model_libraries
from tests.indexer_service import (
    CALLER,
    DIMENSIONS,
    MODEL,
    PRESS,
    Service,
    directions,
    fill,
    plain,
    query,
    registered,
    span_of,
    text,
    video_id,
)

VIDEOS = 12
OTHER = "other@3:4"
RUNNER = replace(CALLER, name=SERVER, route=("image_encoder", "indexer"))
SWITCHING = replace(RUNNER, route=("image_encoder", "text_encoder", "indexer"))
WANTED = Model(name="other", model_id=OTHER)


@pytest.fixture(params=["sqlite", "postgres"])
def service(request, tmp_path) -> Iterator[Service]:
    """One indexer with SQLite, or two with PostgreSQL that take turns."""
    store = request.getfixturevalue("postgres") if request.param == "postgres" else ""
    made = Service(tmp_path / "home", 2 if store else 1, store)
    fill(made, VIDEOS)
    yield made
    made.close()


def turned(vector) -> np.ndarray:
    """As the other model sees it: other directions, and one more dimension."""
    return np.concatenate([np.asarray(vector)[..., ::-1], np.zeros((*np.shape(vector)[:-1], 1))], axis=-1)


def other_span(number: int):
    span = span_of(number)
    vectors = np.frombuffer(span.embeddings, np.float16).reshape(-1, DIMENSIONS)
    embeddings = turned(vectors).astype(np.float16).tobytes()
    return span.model_copy(update={"embeddings": embeddings, "model_id": OTHER, "model": "other"})


def other_query(number: int, **options) -> Query:
    part = text(number)
    part.embedding, part.model_id = turned(part.embedding).tolist(), OTHER
    asked = query(part, top_k=20, **options)
    asked.neutral_embedding = turned(directions().mean(axis=0)).tolist()
    return asked


def embed(service: Service, number: int) -> None:
    asked = registered(number).model_copy(update={"model_id": OTHER, "model": "other"})
    answer = service.ask("/probe", asked, RUNNER)
    assert answer.missing_start_seconds == [0.0]
    assert service.ask("/index", other_span(number), RUNNER).stored


def change(service: Service) -> Model:
    for number in range(VIDEOS):
        embed(service, number)
    return service.ask("/switch_model", WANTED, SWITCHING)


def answers(service: Service, asked: Query) -> list:
    """What each replica answers."""
    return [plain(service.ask("/search", asked))["matches"] for _ in service.executors]


def the_models(service: Service) -> list[tuple[str, str, float]]:
    return [(model.name, model.state, model.covered_seconds / model.total_seconds) for model in service.models()]


def test_queries_of_both_models_are_answered_at_any_moment_of_a_change(service):
    old, new = query(text(1), top_k=20), other_query(1)
    before = answers(service, old)
    with pytest.raises(ModelMismatch):
        service.ask("/search", new)
    job = service.ask("/use_model", WANTED)
    assert (job.state, job.name) == ("changing", "other") and job.job_id
    assert service.ask("/probe", registered(0)).next_model == "other"
    for number in range(VIDEOS):
        embed(service, number)
        assert answers(service, old) == before
        assert [model.name for model in (service.ask("/model", Model(), RUNNER) for _ in range(2))] == ["tiny", "tiny"]
    assert the_models(service) == [("tiny", "answers", 1.0), ("other", "changing", 1.0)]
    switched = service.ask("/switch_model", WANTED, SWITCHING)
    assert (switched.state, switched.missing_video_ids) == ("answers", [])
    assert answers(service, old) == before  # embedded before the switch
    changed = answers(service, new)
    assert all(changed) and changed == [changed[0]] * len(changed)
    scores = [[match["score"] for match in found[0]] for found in (before, changed)]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-3)  # the other model sees the same, turned
    facts = service.ask("/health", Health()).components[0].facts
    assert (facts["model_id"], facts["videos"]) == (OTHER, str(VIDEOS))


def test_a_video_that_comes_or_goes_during_the_change_is_in_both_models_or_in_none(service):
    service.ask("/use_model", WANTED)
    for number in range(VIDEOS):
        embed(service, number)
    service.ask("/probe", registered(50))
    service.ask("/index", span_of(50))
    late = service.ask("/switch_model", WANTED, SWITCHING)
    assert (late.state, late.missing_video_ids) == ("changing", [video_id(50)])
    assert (late.covered_seconds, late.total_seconds) == (20.0 * VIDEOS, 20.0 * (VIDEOS + 1))
    embed(service, 50)
    service.ask("/delete", registered(3))
    assert service.ask("/switch_model", WANTED, SWITCHING).state == "answers"
    for asked in (query(text(1), top_k=50), other_query(1)):
        for found in answers(service, asked):
            assert video_id(3) not in {match["video_id"] for match in found}
    assert {video.status for video in service.videos()} == {"ready"} and len(service.videos()) == VIDEOS


def test_videos_that_the_runner_could_not_embed_are_named_last(service, monkeypatch):
    monkeypatch.setattr(model_executor, "_MOST_MISSING", 3)
    service.ask("/use_model", WANTED)
    failed = WANTED.model_copy(update={"failed_video_ids": [video_id(number) for number in range(VIDEOS - 2)]})
    answer = service.ask("/switch_model", failed, RUNNER)
    assert answer.missing_video_ids == [video_id(number) for number in (VIDEOS - 2, VIDEOS - 1, 0)]
    assert answer.failed_video_ids == []


def test_without_the_text_encoder_nothing_is_switched_and_callers_switch_nothing(service):
    service.ask("/use_model", WANTED)
    asked = service.ask("/switch_model", WANTED, RUNNER)
    assert asked.missing_video_ids == [video_id(number) for number in range(VIDEOS)]
    for number in range(VIDEOS):
        embed(service, number)
    assert service.ask("/switch_model", WANTED, RUNNER).state == "changing"
    with pytest.raises(AccessDenied):
        service.ask("/switch_model", WANTED, replace(SWITCHING, name="anyone"))


def test_going_back_needs_only_what_was_added_since(service):
    before = answers(service, query(text(2), top_k=20))
    service.ask("/use_model", WANTED)
    change(service)
    back = Model(name="tiny", model_id=MODEL)
    service.ask("/use_model", back)
    assert service.ask("/switch_model", back, SWITCHING).state == "answers"
    assert answers(service, query(text(2), top_k=20)) == before
    service.ask("/probe", registered(60))
    service.ask("/index", span_of(60))
    service.ask("/use_model", WANTED)
    assert service.ask("/switch_model", WANTED, SWITCHING).missing_video_ids == [video_id(60)]


def test_one_change_at_a_time_and_none_to_the_model_that_answers(service):
    first = service.ask("/use_model", WANTED)
    assert service.ask("/use_model", WANTED).job_id == first.job_id
    third = service.ask("/use_model", Model(name="third", model_id="third@1:1"))
    assert third.job_id != first.job_id
    with pytest.raises(NotFound):
        service.ask("/jobs", Job(job_id=first.job_id))  # the later one took its place
    assert service.ask("/use_model", Model(name="tiny", model_id=MODEL)).state == "answers"
    assert service.ask("/jobs", Job(job_id=third.job_id)).state == "cancelled"
    with pytest.raises(InvalidRequest, match="no kind of job 'model'"):
        service.ask("/job", Job(kind=CHANGE_MODEL, video_id=video_id(1)))


def test_forgetting_a_model_ends_its_change_and_its_queries_are_refused(service):
    job = service.ask("/use_model", WANTED)
    embed(service, 0)
    with pytest.raises(InvalidRequest, match="answers in this library"):
        service.ask("/forget_model", Model(name="tiny"))
    service.ask("/forget_model", Model(name="other"))
    assert service.ask("/jobs", Job(job_id=job.job_id)).state == "cancelled"
    assert the_models(service) == [("tiny", "answers", 1.0)]
    for _ in service.executors:
        with pytest.raises(ModelMismatch):
            service.ask("/search", other_query(1))
        with pytest.raises(ModelMismatch):
            service.ask("/index", other_span(1), RUNNER)


def test_libraries_change_their_models_alone_and_a_new_one_takes_that_of_the_main_one(service):
    service.ask("/probe", registered(5), PRESS)
    service.ask("/index", span_of(5), PRESS)
    service.ask("/use_model", WANTED)
    change(service)
    new = replace(RUNNER, library="new")
    with pytest.raises(AccessDenied, match="Use /models"):  # it would tell callers what the main library uses
        service.ask("/model", Model(), replace(new, name="anyone"))
    press = replace(RUNNER, library=PRESS.library)
    assert [service.ask("/model", Model(), caller).name for caller in (RUNNER, press, new)] == [
        "other",
        "tiny",
        "other",
    ]
    assert plain(service.ask("/search", query(text(1)), PRESS))["matches"]


def test_the_index_of_a_model_that_nobody_asks_leaves_the_memory(service, monkeypatch):
    service.ask("/use_model", WANTED)
    change(service)
    libraries = service.executors[0].models_of("main")
    old = answers(service, query(text(1), top_k=20))
    assert len(libraries._libraries) == 2
    monkeypatch.setattr(model_libraries, "UNUSED_SECONDS", 0.0)
    libraries._timer.cancel()
    libraries._timer.function()
    libraries._timer.cancel()
    assert list(libraries._libraries) == [libraries.of_model().store.slot]
    assert answers(service, query(text(1), top_k=20)) == old  # it comes back when it is asked
