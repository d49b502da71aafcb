"""Encoders with several models: each request gets that of its library, and what nothing uses leaves the memory."""

import asyncio
import io
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.synthetic.models import write_folder
from clipseek.api.errors import (
    AccessDenied,
    InvalidRequest,
    ModelMismatch,
    ModelUnavailable,
    PathNotAllowed,
    UnknownModel,
)
from clipseek.config.access import SERVER
from clipseek.config.profiles import is_same_model
from clipseek.config.settings import Settings
from clipseek.schema import Calibration, DocList, Health, Model, Query, QueryPart, Video, VideoSpan
from executors.clip_encoder.image.executor import ClipImageEncoder
from executors.clip_encoder.run import loaded_models
from executors.clip_encoder.run.encoder import Encoder
from executors.clip_encoder.run.loaded_models import find_model
from executors.clip_encoder.run.towers import ImageTower
from executors.clip_encoder.text.executor import ClipTextEncoder
from executors.faiss_indexer.store.records import Frames
from executors.faiss_indexer.store.store import Store
from executors.flow.callers import Caller
from tests.unit.faiss_indexer.test_store import video

CALLER = Caller("anyone", server_folders=True)


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("models") / "other", seed=5, dimensions=40)


@pytest.fixture
def settings(tmp_path, model_folder) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache", model=str(model_folder), device="cpu")


@pytest.fixture
def image(settings):
    executor = ClipImageEncoder(settings, runtime_args={"name": "image_encoder"})
    yield executor
    executor.close()


@pytest.fixture
def text(settings):
    executor = ClipTextEncoder(settings, runtime_args={"name": "text_encoder"})
    yield executor
    executor.close()


def ask(method, doc, caller=CALLER):
    [answer] = asyncio.run(method(DocList[type(doc)]([doc]), caller=caller))
    return answer


def test_a_request_gets_the_model_of_its_library(image, text, other, pictures):
    for caller, folder, dimensions in ((CALLER, "tiny", 24), (replace(CALLER, model=str(other)), "other", 40)):
        asked = ask(text.search, Query(text="a dog", parts=DocList[QueryPart]([QueryPart(text="a cat")])), caller)
        assert {part.model_id.split("@")[0].rpartition("/")[2] for part in (asked, *asked.parts)} == {folder}
        assert {len(vector) for vector in (asked.embedding, asked.neutral_embedding)} == {dimensions}
        probed = ask(image.probe, Video(video_id="v"), caller)
        shape = {name: getattr(probed, name) for name in ("picture_width", "picture_height", "picture_fit")}
        span = VideoSpan(video_id="v", pictures=pictures.tobytes(), pts_seconds=[0.0, 1.0, 2.0, 3.0, 4.0], **shape)
        stored = ask(image.index, span, caller)
        assert (stored.model_id, stored.dimensions) == (asked.model_id, dimensions)
        np.testing.assert_allclose(
            np.frombuffer(stored.embeddings, np.float16).reshape(5, dimensions),
            image.models.get(caller.model).encoder.tower.encode(pictures),
            atol=1e-3,
        )


def test_only_the_runner_chooses_the_model_of_a_video(image, other):
    asked = Video(video_id="v", model=str(other))
    assert ask(image.probe, asked, Caller(SERVER)).model_id.startswith(f"{other}@")
    for method, doc in ((image.probe, asked), (image.index, VideoSpan(video_id="v", model=str(other)))):
        with pytest.raises(AccessDenied, match="Leave out `model`"):
            ask(method, doc)


def test_nobody_but_the_runner_has_a_model_loaded_by_its_name(image, text, tmp_path):
    for method in (image.switch_model, text.switch_model):
        with pytest.raises(AccessDenied, match=r"Only the service's own runner .* Use /use_model"):
            ask(method, Model(name=str(tmp_path / "anything")))


def test_a_model_must_be_on_the_machine_and_both_encoders_must_have_the_same(image, text, other):
    found = ask(image.use_model, Model(name=str(other)))
    assert found.model_id == ask(image.switch_model, Model(name=str(other)), Caller(SERVER)).model_id
    ask(text.use_model, found)
    ask(text.switch_model, found, Caller(SERVER))
    with pytest.raises(ModelMismatch, match="where texts are"):
        ask(text.switch_model, found.model_copy(update={"model_id": "elsewhere@1:2"}), Caller(SERVER))
    for name, error, words in (
        ("", InvalidRequest, "clipseek model list"),
        ("auto", InvalidRequest, "clipseek model list"),
        ("multilingual", ModelUnavailable, "clipseek model get multilingual"),
        ("no-such-model", UnknownModel, "There is no model"),
        (str(other.parent), UnknownModel, "not a model folder"),
    ):
        with pytest.raises(error, match=words):
            ask(image.use_model, Model(name=name))


def test_a_token_without_server_folders_names_no_folder(settings, other, monkeypatch):
    monkeypatch.chdir(other.parent)
    names = (str(other), f"local-dir:{other}", "other", "./other", "~/other")
    for name in (*names, *(f"{space}{name}" for name in names for space in (" ", "\n", "\u3000"))):
        with pytest.raises(PathNotAllowed):
            find_model(settings, name, with_folders=False)
    monkeypatch.setattr(loaded_models, "is_folder", lambda _: False)  # as if it were created a moment later
    with pytest.raises(PathNotAllowed):
        find_model(settings, "other", with_folders=False)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("x" * 301, InvalidRequest),
        ("x" * 299, UnknownModel),
        ("/" + "x" * 299, UnknownModel),
        ("~no-such-user/x", UnknownModel),
    ],
)
def test_a_name_that_no_file_can_have_is_refused(settings, name, error):
    with pytest.raises(error):
        find_model(settings, name, with_folders=True)


def test_a_model_that_nothing_uses_leaves_the_memory_and_comes_back(image, other, monkeypatch):
    own = image.models.last
    image.models.get(str(other), answers=False)
    assert image.encoder is own.encoder  # /health tells of the model that answers
    image.models.get(str(other))
    image.models._timer.cancel()
    monkeypatch.setattr(loaded_models, "UNUSED_SECONDS", 0.0)
    image.models._drop_unused()
    assert [Path(name).name for name in image.models._loaded] == ["other"]
    assert image.encoder.spec.name == str(other)
    assert image.models.get("") is not own and image.models.get("").encoder.model_id == own.encoder.model_id


def test_while_the_model_of_one_library_loads_the_others_are_answered(image, text, other, pictures, monkeypatch):
    loading, free = threading.Semaphore(0), threading.Event()

    def load_slowly(load):
        def loaded(name):
            loading.release()
            assert free.wait(60)
            return load(name)

        return loaded

    for models in (image.models, text.models):
        monkeypatch.setattr(models, "_load", load_slowly(models._load))
    file = io.BytesIO()
    Image.fromarray(pictures[0]).save(file, "PNG")
    query = Query(text="a dog", parts=DocList[QueryPart]([QueryPart(image=file.getvalue())]))
    probed = ask(image.probe, Video(video_id="v"))
    shape = {name: getattr(probed, name) for name in ("picture_width", "picture_height", "picture_fit")}
    span = VideoSpan(video_id="v", pictures=pictures[:1].tobytes(), pts_seconds=[0.0], **shape)
    works = ((text.search, Query(text="a dog")), (image.search, query), (image.index, span))

    async def answer(caller, method, doc):
        [answer] = await method(DocList[type(doc)]([doc.model_copy(deep=True)]), caller=caller)
        return answer

    async def answer_all():
        slow = [asyncio.create_task(answer(Caller("a", model=str(other)), *work)) for work in works]
        for _ in range(2):
            assert await asyncio.to_thread(loading.acquire, timeout=30)
        async with asyncio.timeout(30):
            answers = [await answer(Caller("b"), *work) for work in works]
        assert not any(task.done() for task in slow)
        free.set()
        return answers, await asyncio.gather(*slow)

    try:
        answers, slow = asyncio.run(answer_all())
    finally:
        free.set()
    assert [len(each.embedding) for each in (answers[0], slow[0])] == [24, 40]
    assert [len(each.parts[0].embedding) for each in (answers[1], slow[1])] == [24, 40]
    assert [each.dimensions for each in (answers[2], slow[2])] == [24, 40]


def test_requests_that_wait_for_a_model_keep_no_other_from_an_answer(image, text, other, monkeypatch):
    """As many of each kind as there are threads for what needs no queue."""
    free = threading.Event()

    def hang(_):
        assert free.wait(60)
        raise UnknownModel("It was a test.")

    slow = Caller("a", model=str(other))
    switch = Model(name=str(other)), Caller(SERVER)
    works = [(image.probe, Video(video_id="v"), slow), (image.switch_model, *switch), (text.switch_model, *switch)]
    works.append((text.calibrate, Calibration(), slow))
    for encoder in (image, text):
        monkeypatch.setattr(encoder.models, "_load", hang)

    async def answer(method, doc, caller):
        return await method(DocList[type(doc)]([doc]), caller=caller)

    async def answer_all():
        waiting = [asyncio.create_task(answer(*work)) for work in works for _ in range(8)]
        try:
            async with asyncio.timeout(20):
                for encoder in (image, text):
                    assert await answer(encoder.health, Health(), Caller("b"))
            assert not any(task.done() for task in waiting)
        finally:
            free.set()
            await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(answer_all())


def test_few_models_are_in_memory_at_once_and_the_last_one_of_a_library_is(image, other, monkeypatch):
    load, most = image.models._load, []

    def note_and_load(name):
        most.append(len(image.models._loaded))
        return load(str(other))

    monkeypatch.setattr(image.models, "_load", note_and_load)
    image.models.get("a")
    for name in "bcdb":
        image.models.get(name, answers=False)
    assert list(image.models._loaded) == ["a", "d", "b"] and max(most) == 2
    assert image.models.last is image.models.get("a")


def test_health_tells_of_no_other_librarys_model(image, text, other):
    for encoder in (image, text):
        encoder.models.get(str(other))
        own, of_other, unloaded = (
            encoder.component(Caller("a", model=name)) for name in ("", str(other), "not-loaded/yet")
        )
        assert [len(component.facts) > 1 for component in (own, of_other, unloaded)] == [True, True, False]
        assert own.facts["model"] == encoder.settings.model and of_other.facts["model"] == str(other)
        assert unloaded.facts == {"model": "not-loaded/yet"} and unloaded.warnings == []


@pytest.mark.parametrize("setting", ["", "auto", "starter"])
def test_the_model_of_the_library_wins_over_the_setting_and_that_is_said(settings, other, setting):
    asked = replace(settings, model=setting)
    with Store(settings.home) as store:
        store.register(video(), f"{other}@1:2")
        if setting == "starter":
            assert Encoder(settings, "image", ImageTower).spec.name == settings.model  # no video needs the other one
        frames = Frames(np.zeros(1), np.ones((1, 1), np.float16))
        store.put_span("a" * 64, (0.0, 30.0), frames, f"{other}@1:2")
    encoder = Encoder(asked, "image", ImageTower)
    assert encoder.spec.name == str(other)
    told = [warning for warning in encoder.spec.warnings if "clipseek model use starter" in warning]
    assert len(told) == (setting == "starter")


def test_one_model_has_many_names(tmp_path, monkeypatch):
    (tmp_path / "m").mkdir()
    (tmp_path / "starter").mkdir()  # a short name means the model, whatever is in the folder
    monkeypatch.chdir(tmp_path)
    for name, other in (
        ("english", "ViT-B-32/laion2b_s34b_b79k"),
        ("ViT-B-32/laion2b-s34b-b79k", "English"),
        ("m", f"local-dir:{tmp_path}/m"),
        ("./m", f"{tmp_path}/m"),
        ("starter", "Starter"),
    ):
        assert is_same_model(name, other)
    assert not is_same_model("english", "multilingual")
    assert not is_same_model("starter", f"{tmp_path}/starter")
