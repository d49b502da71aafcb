import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.synthetic.videos import make_scenes, scenes
from clipseek.api.errors import InvalidSetting, ModelError, ModelUnavailable
from clipseek.cli.main import main
from clipseek.config.settings import Settings
from executors.clip_encoder.int8 import optimise as optimising
from executors.clip_encoder.int8.form import Int8Form, find_form, int8_folder
from executors.clip_encoder.int8.optimise import count_kept_neighbours, optimise
from executors.clip_encoder.model.folder import read_model_folder
from executors.clip_encoder.model.spec import model_id
from executors.clip_encoder.pytorch.half import TorchHalf
from executors.clip_encoder.pytorch.weights import load_half
from executors.clip_encoder.run import device
from executors.clip_encoder.run.device import choose_device
from executors.clip_encoder.run.encoder import Encoder
from executors.clip_encoder.run.towers import ImageTower, TextTower
from executors.video_loader.media.media_files import MediaFiles

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")


@pytest.fixture
def spec(model_folder):
    return read_model_folder(model_folder, "tiny", "test")


def with_int8(spec, cache):
    return replace(spec, image_form=find_form(spec, cache))


@pytest.fixture
def cache_with_int8(spec, tmp_path, monkeypatch):
    """A cache with a model in the place of an int8 form: the same, its weights rounded to float16."""
    cache = tmp_path / "cache"
    folder = int8_folder(spec, cache)
    folder.mkdir(parents=True)
    model = TorchHalf(load_half(spec, "image")).convert(np.random.default_rng(0).random((2, 3, 32, 32), np.float32))
    openvino.save_model(model, folder / "image.xml", compress_to_fp16=True)
    with monkeypatch.context() as unchecked:  # there is no probe to check it with yet
        unchecked.setattr(Int8Form, "check", lambda *_: None)
        vectors = ImageTower(with_int8(spec, cache), choose_device("cpu")).encode(scenes(4))
    np.savez(folder / "probe.npz", pictures=scenes(4), vectors=vectors)
    return cache


def settings(model_folder, cache, tmp_path, **values) -> Settings:
    return Settings(home=tmp_path / "home", cache=cache, model=str(model_folder), device="cpu", **values)


def test_the_int8_form_runs_the_image_half_alone_and_is_another_model(spec, model_folder, cache_with_int8, tmp_path):
    asked = settings(model_folder, cache_with_int8, tmp_path, engine="int8")
    image, text = Encoder(asked, "image", ImageTower), Encoder(asked, "text", TextTower)
    assert (image.facts["engine"], text.facts["engine"]) == ("int8", "openvino")
    assert image.model_id == text.model_id
    plain = Encoder(replace(asked, engine="auto"), "image", ImageTower)
    own, _, suffix = image.model_id.partition("+int8-")
    assert (own, len(suffix)) == (plain.model_id, 8)
    vectors = [each.tower.encode(scenes(5)) for each in (plain, image)]
    np.testing.assert_allclose(*vectors, atol=0.01)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-6  # so it is the other one that ran


def test_another_int8_form_is_another_model(spec, cache_with_int8):
    one = model_id(with_int8(spec, cache_with_int8), cache_with_int8)
    weights = int8_folder(spec, cache_with_int8) / "image.bin"
    weights.write_bytes(weights.read_bytes() + b"\0")
    assert model_id(with_int8(spec, cache_with_int8), cache_with_int8) != one


def test_without_an_int8_form_the_start_says_how_to_make_one(model_folder, tmp_path):
    with pytest.raises(ModelUnavailable, match="`clipseek model optimise`, or set CLIPSEEK_ENGINE=auto"):
        Encoder(settings(model_folder, tmp_path / "cache", tmp_path, engine="int8"), "image", ImageTower)


def test_a_processor_that_computes_something_else_is_told_from_the_one_it_was_made_on(
    spec, model_folder, cache_with_int8, tmp_path
):
    file = int8_folder(spec, cache_with_int8) / "probe.npz"
    with np.load(file) as probe:
        np.savez(file, pictures=probe["pictures"], vectors=np.roll(probe["vectors"], 1, axis=1))
    with pytest.raises(ModelError, match=r"image.xml gives other vectors on this processor"):
        Encoder(settings(model_folder, cache_with_int8, tmp_path, engine="int8"), "image", ImageTower)


def test_int8_is_for_processors(monkeypatch):
    monkeypatch.setattr(device, "has_gpu", lambda: True)
    with pytest.raises(InvalidSetting, match="'int8', which runs on CPUs only"):
        choose_device("auto", "int8")


def test_a_damaged_int8_form_is_named(spec, cache_with_int8):
    found = with_int8(spec, cache_with_int8)
    found.image_form.file.write_text("<net", encoding="utf-8")
    with pytest.raises(ModelError, match=r"int8 form .*image.xml cannot be loaded"):
        ImageTower(found, choose_device("cpu", "int8"))


def test_neighbours_that_stay_are_counted():
    turns = np.linspace(0, 3, 40)
    vectors = np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)
    assert count_kept_neighbours(vectors, vectors) == 1.0
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(vectors)
    nearest = [
        [set(sorted(range(40), key=lambda j: (j == i, -(rows[i] @ rows[j])))[:10]) for i in range(40)]
        for rows in (vectors, shuffled)
    ]
    expected = np.mean([len(a & b) / 10 for a, b in zip(*nearest, strict=True)])
    assert count_kept_neighbours(vectors, shuffled) == pytest.approx(expected, abs=0.01)


def test_where_the_quantiser_is_missing_it_is_said_how_to_get_it(spec, tmp_path, monkeypatch):
    monkeypatch.setattr(optimising, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match=r"its extra `int8`"):
        optimise(spec, tmp_path, scenes(4), scenes(4), 0.9)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """80 s, another scene each second."""
    return make_scenes(tmp_path_factory.mktemp("videos") / "scenes.mp4", 80)


def told(arguments):
    done = CliRunner().invoke(main, ["model", "optimise", *arguments, "--json"])
    return done.exit_code, json.loads(done.stdout) if done.stdout else {}, done.stderr


def test_the_command_makes_one_of_videos_and_keeps_what_it_accepts(spec, model_folder, video, tmp_path, monkeypatch):
    pytest.importorskip("nncf", reason="NNCF is not installed")
    cache = tmp_path / "cache"
    for name, value in settings(model_folder, cache, tmp_path).to_env().items():
        monkeypatch.setenv(name, value)
    MediaFiles(tmp_path / "home" / "media", (), 1 << 20).add_file(video)
    code, made, said = told(["--frames", "64", "--bar", "0.9"])  # of the library
    assert code == 0, said
    assert (
        f"Accepted. Start the server with CLIPSEEK_MODEL={model_folder} and CLIPSEEK_ENGINE=int8, and a store" in said
    )
    assert 32 <= made["calibration_frames"] <= 40 and 32 <= made["check_frames"] <= 40
    found = with_int8(spec, cache)
    assert made["model_id"].partition("@")[2] == model_id(found, cache).partition("@")[2]
    plain, quick = (ImageTower(each, choose_device("cpu")) for each in (spec, found))
    pictures = scenes(40, seed=1)
    cosines = (plain.encode(pictures) * quick.encode(pictures)).sum(axis=1)
    assert 0.9 < cosines.min() < 0.99999
    assert cosines.mean() == pytest.approx(made["median_cosine"], abs=0.01)

    assert told([])[1] == made  # it is there
    before = found.image_form.file.stat().st_ino
    code, made, said = told(["--again", str(video), "--frames", "64", "--bar", "1"])
    assert code == 1 and "Refused" in said and "every frame must reach 1" in made["why_refused"]
    assert found.image_form.file.stat().st_ino == before  # what was there is not lost to one that is refused


def test_videos_with_nothing_to_see_are_not_enough(model_folder, tmp_path, monkeypatch):
    for name, value in settings(model_folder, tmp_path / "cache", tmp_path).to_env().items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(main, ["model", "optimise"])
    assert done.exit_code == 1
    assert "0 videos gave 0 frames" in done.stderr and "index some first" in done.stderr
