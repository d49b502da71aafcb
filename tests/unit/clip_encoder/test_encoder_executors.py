import asyncio
import io
import threading

import numpy as np
import pytest
from docarray import DocList
from PIL import Image

from clipseek.api.errors import EmptyQuery, InvalidRequest, UnknownModel, UnreadableImage
from clipseek.config.settings import Settings
from clipseek.schema import Calibration, Health, Query, QueryPart, Video, VideoSpan
from executors.clip_encoder.image.executor import ClipImageEncoder
from executors.clip_encoder.relevance.neutral_phrases import NEUTRAL_PHRASES
from executors.clip_encoder.relevance.score_scales import read_scales
from executors.clip_encoder.text.executor import ClipTextEncoder
from executors.flow.callers import Caller
from executors.flow.executor import WORKER

CALLER = Caller("anyone")


@pytest.fixture
def settings(tmp_path, model_folder) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache", model=str(model_folder), device="cpu")


def started(kind, settings):
    executor = kind(settings, runtime_args={"name": kind.__name__})
    yield executor
    executor.close()


@pytest.fixture
def image(settings):
    yield from started(ClipImageEncoder, settings)


@pytest.fixture
def text(settings):
    yield from started(ClipTextEncoder, settings)


def span(pictures, **values) -> VideoSpan:
    count, height, width = pictures.shape[:3]
    return VideoSpan(
        video_id="v", pictures=pictures.tobytes(), pts_seconds=[float(i) for i in range(count)],
        picture_width=width, picture_height=height, **values,
    )  # fmt: skip


def test_probe_says_what_pictures_are_wanted(image, model_folder):
    (video,) = asyncio.run(image.probe(DocList[Video]([Video(video_id="v")]), caller=CALLER))
    assert (video.picture_width, video.picture_height, video.picture_fit) == (32, 32, "squash")
    assert video.picture_fill == [0, 0, 0]
    assert video.model_id.startswith(f"{model_folder}@")


def test_the_spans_of_a_request_get_their_own_embeddings(image, pictures):
    others = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3), np.uint8)
    empty = VideoSpan(video_id="v", picture_width=32, picture_height=32)
    docs = DocList[VideoSpan]([span(pictures[:2]), empty, span(others), span(pictures[2:])])
    answers = asyncio.run(image.index(docs, caller=CALLER))
    tower = image.encoder.tower
    expected = [tower.encode(p) for p in (pictures[:2], pictures[:0], others, pictures[2:])]
    for doc, vectors in zip(answers, expected, strict=True):
        assert (doc.pictures, doc.dimensions, doc.model_id) == (b"", 24, image.encoder.model_id)
        stored = np.frombuffer(doc.embeddings, np.float16).reshape(-1, 24)
        np.testing.assert_allclose(stored, vectors, atol=1e-3)


def test_pictures_of_another_format_are_refused(image, pictures):
    wide = np.zeros((2, 20, 30, 3), np.uint8)
    for doc in (span(wide), span(pictures, picture_fit="pad"), span(pictures, picture_fill=[1, 2, 3])):
        with pytest.raises(InvalidRequest, match="the model needs 32x32, squash"):
            asyncio.run(image.index(DocList[VideoSpan]([doc]), caller=CALLER))


def test_a_query_without_an_image_does_not_wait_behind_one(image, monkeypatch):
    decoding, free = threading.Event(), threading.Event()

    def decode_slowly(*_):
        decoding.set()
        assert free.wait(30)
        return np.zeros((1, 32, 32, 3), np.uint8)

    async def ask():
        slow = asyncio.create_task(image.search(DocList[Query]([Query(parts=[QueryPart(image=b"x")])]), caller=CALLER))
        await asyncio.to_thread(decoding.wait, 30)
        async with asyncio.timeout(10):
            await image.search(DocList[Query]([Query(text="a cat")]), caller=CALLER)
        assert not slow.done()
        free.set()
        await slow

    monkeypatch.setattr(image._decoder, "read", decode_slowly)
    try:
        asyncio.run(ask())
    finally:
        free.set()


def test_answers_are_written_beside_the_event_loop(text, monkeypatch):
    writers = []
    write = DocList.to_protobuf

    def note_and_write(docs):
        writers.append(threading.current_thread())
        return write(docs)

    monkeypatch.setattr(DocList, "to_protobuf", note_and_write)
    answers = asyncio.run(text.search(DocList[Query]([Query(text="a cat"), Query(text="a dog")]), caller=CALLER))
    assert [doc.text for doc in DocList[Query].from_protobuf(answers.to_protobuf())] == ["a cat", "a dog"]
    assert writers and threading.main_thread() not in writers


def test_texts_of_one_query_leave_turns_to_other_callers(text, monkeypatch):
    """A query of many texts is begun first; another caller's single text is answered before it."""
    encoding, free, order = threading.Event(), threading.Event(), []
    model = text.models.last
    encode = model.encode

    def encode_slowly(words):
        encoding.set()
        assert free.wait(30)
        order.append(words)
        return encode(words)

    async def ask():
        parts = [QueryPart(text=f"text {number}") for number in range(8)]
        long = asyncio.create_task(text.search(DocList[Query]([Query(parts=parts)]), caller=CALLER))
        await asyncio.to_thread(encoding.wait, 30)
        other = asyncio.create_task(text.search(DocList[Query]([Query(text="a cat")]), caller=Caller("other")))
        async with asyncio.timeout(30):
            while "other" not in text.queues[WORKER]._lines:
                await asyncio.sleep(0.001)
        free.set()
        await asyncio.gather(long, other)

    monkeypatch.setattr(model, "encode", encode_slowly)
    asyncio.run(ask())
    assert order[:3] == ["text 0", "a cat", "text 1"]
    assert sorted(order) == ["a cat", *(f"text {number}" for number in range(8))]


def test_a_still_span_costs_one_picture(image, pictures):
    still = np.repeat(pictures[:1], 30, axis=0)
    first, second = (asyncio.run(image.index(DocList[VideoSpan]([span(still)]), caller=CALLER))[0] for _ in range(2))
    assert (first.frames_encoded, second.frames_encoded) == (1, 0)
    assert len(first.embeddings) == 30 * 24 * 2
    assert first.embeddings == second.embeddings


def test_pictures_that_do_not_fit_their_frames_are_refused(image, pictures):
    doc = span(pictures)
    doc.pts_seconds = doc.pts_seconds[:-1]
    with pytest.raises(InvalidRequest, match="has 15360 bytes of pictures, but 4 frames of 32x32 take 12288"):
        asyncio.run(image.index(DocList[VideoSpan]([doc]), caller=CALLER))


def test_both_halves_give_one_identity(image, text):
    assert image.encoder.model_id == text.encoder.model_id


def test_a_query_gets_its_embedding_and_its_warnings(text):
    long = " ".join(["cat"] * 30)
    docs = asyncio.run(
        text.search(DocList[Query]([Query(text="a red car"), Query(text=long), Query(text="红色的车")]), caller=CALLER)
    )
    expected = text.encoder.tower.encode(["a red car"]).vectors[0]
    np.testing.assert_allclose(docs[0].embedding, expected, atol=1e-6)
    assert docs[0].model_id == text.encoder.model_id
    assert docs[0].warnings == []
    assert docs[1].warnings == ["The text has 32 tokens; this model reads the first 16 and ignores the rest."]
    assert any("clipseek model use multilingual" in warning for warning in docs[2].warnings)


def test_a_text_gets_the_scale_of_its_cosines_and_what_neutral_phrases_mean(text):
    part = QueryPart(text="a lake", weight=-1.0)
    [doc] = asyncio.run(
        text.search(DocList[Query]([Query(text="a dog", parts=DocList[QueryPart]([part]))]), caller=CALLER)
    )
    for holder in (doc, doc.parts[0]):
        assert (holder.zero_cosine, holder.above_background) == (0.0, True)
        assert holder.one_cosine == pytest.approx(6 * 0.07)  # by the logit scale of the model
    phrases = text.encoder.tower.encode(NEUTRAL_PHRASES).vectors
    np.testing.assert_allclose(doc.neutral_embedding, phrases.mean(axis=0), atol=1e-6)


@pytest.fixture
def starter_text(tmp_path, starter):
    settings = Settings(
        home=tmp_path / "home", cache=tmp_path / "cache", model=str(starter.checkpoint.parent), device="cpu"
    )
    executor = ClipTextEncoder(settings, runtime_args={"name": "text_encoder"})
    yield executor
    executor.close()


def test_the_starter_gives_each_text_a_scale_of_its_own(starter_text, starter):
    [doc] = asyncio.run(starter_text.search(DocList[Query]([Query(text="a cat")]), caller=CALLER))
    scale = read_scales(starter).of(np.array(doc.embedding, np.float32))
    assert (doc.zero_cosine, doc.one_cosine) == pytest.approx((scale.zero, scale.one), abs=1e-6)
    assert not doc.above_background


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("a red car", []),
        ("一辆红色的车", []),
        ("hello", ["The starter model does not know 'hello'."]),
        ("你好", ["The starter model does not know '你好'."]),
        ("a white rabit", ["The starter model does not know the word 'rabit'. Did you mean 'rabbit'?"]),
        (
            "ένας σκύλος",
            [
                "The starter model was not trained on the script of this text: expect poor answers. "
                "The model multilingual reads many languages: `clipseek model use multilingual`."
            ],
        ),
    ],
)
def test_the_starter_says_what_it_does_not_know(starter_text, text, warnings):
    [doc] = asyncio.run(starter_text.search(DocList[Query]([Query(text=text)]), caller=CALLER))
    assert doc.warnings == warnings


def test_calibration_is_sent_on_with_every_neutral_phrase(text):
    [doc] = asyncio.run(text.calibrate(DocList[Calibration]([Calibration(answered_share=0.2)]), caller=CALLER))
    assert [part.text for part in doc.phrases] == list(NEUTRAL_PHRASES) and len(NEUTRAL_PHRASES) == 107
    vectors = text.encoder.tower.encode(NEUTRAL_PHRASES).vectors
    np.testing.assert_allclose([part.embedding for part in doc.phrases], vectors, atol=1e-6)
    np.testing.assert_allclose(doc.neutral_embedding, vectors.mean(axis=0), atol=1e-6)
    assert {(part.model_id, part.above_background) for part in doc.phrases} == {(text.encoder.model_id, True)}
    assert (doc.answered_share, doc.done) == (0.2, False)


def test_a_text_asked_again_is_not_encoded_again(text, monkeypatch):
    asked = DocList[Query]([Query(text="a red car")])
    first = list(asyncio.run(text.search(asked, caller=CALLER))[0].embedding)
    monkeypatch.setattr(text.encoder.tower, "encode", None)
    assert asyncio.run(text.search(DocList[Query]([Query(text="a red car")]), caller=CALLER))[0].embedding == first


def test_a_blank_query_is_refused(text):
    with pytest.raises(EmptyQuery):
        asyncio.run(text.search(DocList[Query]([Query(text=" ")]), caller=CALLER))


def test_every_part_gets_the_embedding_of_what_it_is(image, text):
    picture = np.random.default_rng(5).integers(0, 256, (40, 60, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    parts = [
        QueryPart(text="a lake"),
        QueryPart(image=file.getvalue(), weight=-0.5),
        QueryPart(video_id="a" * 64, at_seconds=3.0),
    ]
    asked = DocList[Query]([Query(text="a dog", parts=DocList[QueryPart](parts))])
    for path in ("search", "timeline"):
        docs = DocList[Query]([asked[0].model_copy(deep=True)])
        half = asyncio.run(getattr(image, path)(docs, caller=CALLER))
        [doc] = asyncio.run(getattr(text, path)(half, caller=CALLER))
        expected = text.encoder.tower.encode(["a dog", "a lake"]).vectors
        np.testing.assert_allclose([doc.embedding, doc.parts[0].embedding], expected, atol=1e-6)
        image_part = doc.parts[1]
        assert image_part.zero_cosine == image_part.one_cosine  # no scale
        np.testing.assert_allclose(doc.parts[1].embedding, image.encoder.tower.encode(picture[None])[0], atol=1e-6)
        assert [part.embedding == [] for part in doc.parts] == [False, False, True]
        assert [part.model_id for part in doc.parts] == [image.encoder.model_id] * 2 + [""]
        assert [part.weight for part in doc.parts] == [1.0, -0.5, 1.0] and doc.parts[1].image == b""


def test_warnings_of_several_texts_say_which_they_are_about(text):
    long = "cat " * 30
    parts = DocList[QueryPart]([QueryPart(text="咖啡"), QueryPart(text=long, weight=-1.0), QueryPart(text="a lake")])
    [doc] = asyncio.run(text.search(DocList[Query]([Query(text="a cup", parts=parts)]), caller=CALLER))
    chinese, cut = doc.warnings
    assert chinese.startswith("'咖啡': The model (") and "clipseek model use multilingual" in chinese
    assert cut.startswith("'cat cat") and " ...': The text has 32 tokens" in cut


@pytest.mark.parametrize(
    ("query", "error", "told"),
    [
        (Query(), EmptyQuery, "The query is empty"),
        (Query(text="  "), EmptyQuery, "The query is empty"),
        (Query(parts=[QueryPart(text="rain", weight=-1.0)]), EmptyQuery, "only says what to avoid"),
        (Query(text="a cat", parts=[QueryPart()]), EmptyQuery, "Part 1 of the query is empty"),
        (Query(text="a cat", parts=[QueryPart(text=" ")]), EmptyQuery, "Part 1 of the query is empty"),
        (Query(parts=[QueryPart(text="x", video_id="v")]), InvalidRequest, "a text, an image or a frame"),
        (Query(parts=[QueryPart(text="x", weight=0.0)]), InvalidRequest, "weight of part 1 of the query is 0"),
        (Query(parts=[QueryPart(text="x", weight=float("nan"))]), InvalidRequest, "is nan"),
        (Query(parts=[QueryPart(text="x")] * 33), InvalidRequest, "count of parts, 33, is above .* is 32"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_queries_that_cannot_be_understood_are_refused_by_the_first_who_sees_them(image, query, error, told):
    with pytest.raises(error, match=told):
        asyncio.run(image.search(DocList[Query]([query]), caller=CALLER))


def test_an_unreadable_image_is_named_by_its_title(image):
    parts = DocList[QueryPart]([QueryPart(image=b"no image", title="holiday/cat.jpg")])
    with pytest.raises(UnreadableImage, match=r"'holiday/cat\.jpg' is not a readable image"):
        asyncio.run(image.search(DocList[Query]([Query(parts=parts)]), caller=CALLER))


def test_health_names_the_model(image, text):
    health = asyncio.run(image.health(DocList[Health]([Health()]), caller=CALLER))
    component = asyncio.run(text.health(health, caller=CALLER))[0].components
    assert [c.name for c in component] == ["ClipImageEncoder", "ClipTextEncoder"]
    facts = component[0].facts
    assert facts["model_id"] == image.encoder.model_id
    assert (facts["device"], facts["precision"], facts["dimensions"]) == ("cpu", "fp32", "24")
    assert facts["reason"].startswith("CLIPSEEK_MODEL=")


def test_a_start_that_fails_says_so_in_one_line_of_the_log(settings, tmp_path, caplog):
    unknown = Settings(home=settings.home, cache=settings.cache, model="nonsense")
    with pytest.raises(UnknownModel):
        ClipImageEncoder(unknown, runtime_args={"name": "image_encoder"})
    (record,) = [r for r in caplog.records if r.levelname == "ERROR"]
    assert record.message.startswith("The image encoder cannot start: There is no model 'nonsense'")
    assert "\n" not in record.message
