import json
import sqlite3
import threading
import time
from copy import deepcopy
from dataclasses import dataclass

import huggingface_hub
import open_clip
import pytest

from benchmarks.synthetic.models import MODEL_CFG, write_folder
from clipseek.api.errors import ModelUnavailable, UnknownModel
from clipseek.config.profiles import PROFILES
from clipseek.config.settings import Settings
from clipseek.machine.stored_model import read_store_model
from executors.clip_encoder.model import hub as hub_module
from executors.clip_encoder.model import open_clip_facts
from executors.clip_encoder.model.folder import read_model_folder
from executors.clip_encoder.model.hub import Hub
from executors.clip_encoder.model.registry import Registry
from executors.clip_encoder.run.languages import has_other_script, language_warning
from executors.faiss_indexer.store.postgres import PostgresDatabase
from executors.faiss_indexer.store.store import Store
from tests.unit.faiss_indexer.test_store import video

ENGLISH = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
MULTILINGUAL = "timm/ViT-B-32-SigLIP2-256"
NO_HUB = "no answer from the model hub within 4 s"


@dataclass(frozen=True)
class StubHub(Hub):
    """A hub that holds nothing and says why it does not answer."""

    reason: str = NO_HUB

    def find_cached(self, repository, names):
        return None

    def why_unreachable(self, repository):
        return self.reason


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def tiny_architectures(monkeypatch):
    """Every architecture of open_clip is the tiny one."""
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: deepcopy(MODEL_CFG))


@pytest.fixture
def registry(tmp_path, model_folder):
    starter = read_model_folder(model_folder, "starter", "built")
    return Registry(tmp_path / "cache", StubHub(), build_starter=lambda models: starter)


def test_auto_takes_the_starter_and_says_how_to_get_a_better_model_and_what_is_lost(registry):
    spec = registry.resolve("auto")
    assert spec.name == "starter"
    assert spec.reason == "auto: the starter model; `clipseek model get multilingual` (1507 MB) gets a better one"
    for lost in (
        "people",
        "places",
        "actions",
        "written text",
        "Chinese",
        "not CLIP quality",
        "clipseek model use multi",
    ):
        assert lost in spec.warnings[0]


def test_auto_stays_with_the_model_of_the_store(registry, model_folder):
    spec = registry.resolve("auto", store_model=str(model_folder))
    assert (spec.name, spec.reason) == (str(model_folder), "auto: this model filled the store")
    assert registry.resolve("", store_model="starter").name == "starter"
    with pytest.raises(ModelUnavailable, match=ENGLISH):
        registry.resolve("auto", store_model="ViT-B-32/laion2b_s34b_b79k")


def test_a_named_model_wins_over_the_store(registry, model_folder):
    assert registry.resolve("starter", store_model=str(model_folder)).name == "starter"


def test_auto_takes_the_multilingual_model_from_the_cache_without_asking(tmp_path, tiny_architectures, model_folder):
    weights = model_folder / "open_clip_model.safetensors"

    @dataclass(frozen=True)
    class FullCache(StubHub):
        def find_cached(self, repository, names):
            return weights

        def why_unreachable(self, repository):
            raise NotImplementedError

    spec = Registry(tmp_path, FullCache()).resolve("auto")
    assert spec.name == "ViT-B-32-SigLIP2-256/webli"
    assert spec.reason == "auto: the multilingual profile is here"
    assert spec.checkpoint == weights
    assert spec.preprocessing.resize_mode == "squash"
    assert spec.is_multilingual


def test_auto_asks_no_hub_and_downloads_nothing_though_the_hub_has_it(tmp_path, registry, fake_hub):
    fake_hub.files[MULTILINGUAL, "open_clip_model.safetensors"] = b"weights"
    hub = Hub(fake_hub.endpoint, tmp_path / "hub")
    assert Registry(tmp_path, hub, registry.build_starter).resolve("auto").name == "starter"
    assert fake_hub.asked == []


def test_both_encoders_of_a_flow_decide_alike_though_a_model_arrives_between_them(
    registry, tiny_architectures, model_folder
):
    @dataclass(frozen=True)
    class FullCache(StubHub):
        def find_cached(self, repository, names):
            return model_folder / "open_clip_model.safetensors"

    first = registry.resolve("auto")
    later = Registry(registry.cache, FullCache(), registry.build_starter)
    assert later.resolve("auto") == first
    decision = json.loads((registry.cache / "auto.json").read_text())
    (registry.cache / "auto.json").write_text(json.dumps(decision | {"at": time.time() - 1000}))
    assert later.resolve("auto").name == "ViT-B-32-SigLIP2-256/webli"  # the old decision does not hold


def test_a_hub_that_hangs_is_given_up_after_four_seconds(tmp_path, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: release.wait(30))
    started = time.monotonic()
    with pytest.raises(ModelUnavailable, match=NO_HUB):
        Registry(tmp_path, Hub(cache_dir=tmp_path / "hub")).resolve("english")
    seconds = time.monotonic() - started
    release.set()
    assert seconds < 15  # of the 30 that it hangs: the machine may be busy


def test_offline_mode_is_honoured_without_a_question(tmp_path, monkeypatch, fake_hub):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    hub = Hub(fake_hub.endpoint, tmp_path / "hub")
    with pytest.raises(ModelUnavailable, match="HF_HUB_OFFLINE"):
        Registry(tmp_path, hub).resolve("english")
    assert fake_hub.asked == []


def test_a_profile_is_fetched_once_from_the_hub(tmp_path, fake_hub, tiny_architectures, model_folder, caplog):
    weights = (model_folder / "open_clip_model.safetensors").read_bytes()
    fake_hub.files[ENGLISH, "open_clip_model.safetensors"] = weights
    registry = Registry(tmp_path, Hub(fake_hub.endpoint, tmp_path / "hub"))
    spec = registry.resolve("english")
    assert spec.name == "ViT-B-32/laion2b_s34b_b79k"
    assert spec.reason == "CLIPSEEK_MODEL=english"
    assert spec.checkpoint.read_bytes() == weights
    assert spec.preprocessing.picture_format.fit == "pad"
    assert spec.tokenizer_folder is None
    assert "Fetching open_clip_model.safetensors" in caplog.text
    fake_hub.asked.clear()
    assert registry.resolve("ViT-B-32/laion2b_s34b_b79k").checkpoint == spec.checkpoint
    assert fake_hub.asked == []


def test_an_older_file_and_the_tokenizer_are_fetched_too(tmp_path, fake_hub, monkeypatch, model_folder):
    config = deepcopy(MODEL_CFG)
    config["text_cfg"]["hf_tokenizer_name"] = MULTILINGUAL
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: deepcopy(config))
    fake_hub.files[MULTILINGUAL, "open_clip_pytorch_model.bin"] = b"weights"
    fake_hub.files[MULTILINGUAL, "tokenizer_config.json"] = b"{}"
    fake_hub.files[MULTILINGUAL, "spiece.model"] = b"pieces"
    hub = Hub(fake_hub.endpoint, tmp_path / "hub")
    spec = Registry(tmp_path, hub).resolve("multilingual")
    assert spec.reason == "CLIPSEEK_MODEL=multilingual"
    assert spec.checkpoint.read_bytes() == b"weights"
    assert sorted(file.name for file in spec.tokenizer_folder.iterdir()) == [
        "open_clip_pytorch_model.bin", "spiece.model", "tokenizer_config.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "there is no such repository"),
        ({(ENGLISH, "README.md"): b"x"}, "it has none of open_clip_model.safetensors"),
    ],
)
def test_what_the_hub_does_not_have_is_said(tmp_path, fake_hub, files, reason):
    fake_hub.files.update(files)
    with pytest.raises(ModelUnavailable, match=reason):
        Registry(tmp_path, Hub(fake_hub.endpoint, tmp_path / "hub")).resolve("english")


def test_a_hub_that_is_not_there_is_given_up_quickly(tmp_path, fake_hub):
    started = time.monotonic()
    with pytest.raises(
        ModelUnavailable, match=r"CLIPSEEK_MODEL to its path\. CLIPSEEK_MODEL=starter needs no download"
    ):
        Registry(tmp_path, Hub("http://127.0.0.1:9", tmp_path / "hub")).resolve("english")
    assert time.monotonic() - started < 15


def test_the_activation_is_the_one_the_weights_were_trained_with(registry, monkeypatch, model_folder):
    monkeypatch.setattr(StubHub, "fetch", lambda *_: model_folder / "open_clip_model.safetensors")
    assert registry.resolve("ViT-B-32/openai").model_cfg["quick_gelu"] is True
    assert registry.resolve("ViT-B-32/laion2b_s34b_b79k").model_cfg["quick_gelu"] is False
    assert registry.resolve("ViT-B-32/LAION2B-s34b-b79k").name == "ViT-B-32/laion2b_s34b_b79k"


def test_the_fast_profile_says_that_its_licence_is_for_research(registry, monkeypatch, model_folder):
    monkeypatch.setattr(StubHub, "fetch", lambda *_: model_folder / "open_clip_model.safetensors")
    spec = registry.resolve("fast")
    assert spec.name == "MobileCLIP2-S0/dfndr2b"
    assert "research only" in spec.warnings[0]


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("ViT-B-32/opena", "ViT-B-32/openai"),
        ("ViT-B-32:openai", "ViT-B-32/openai"),
        ("ViT-B-32", "ViT-B-32/laion2b_s34b_b79k"),
        ("multilingal", "multilingual"),
        ("Starter-model", "starter"),
    ],
)
def test_an_unknown_model_gets_names_that_come_near(registry, asked, hint):
    with pytest.raises(UnknownModel, match="list_pretrained") as error:
        registry.resolve(asked)
    assert f"There is no model '{asked}'. Similar names: " in str(error.value)
    assert hint in str(error.value).split("CLIPSEEK_MODEL")[0].split("Similar names")[1]


def test_the_fit_of_pictures_can_be_chosen_and_makes_another_model(registry, model_folder):
    usual, cropped = (registry.resolve(str(model_folder), picture_fit=fit) for fit in ("auto", "crop"))
    assert usual.preprocessing.picture_format.fit == "squash" and cropped.preprocessing.picture_format.fit == "crop"
    assert usual.identity("0" * 64) != cropped.identity("0" * 64)
    assert usual.identity("0" * 64) == registry.resolve(str(model_folder), picture_fit="squash").identity("0" * 64)


def test_a_model_like_nothing_known_gets_the_list(registry):
    with pytest.raises(UnknownModel, match="takes auto, starter, multilingual, chinese, english, fast, large, a f"):
        registry.resolve("xyzzy plugh")


def test_a_folder_is_a_model_however_it_is_written(registry, model_folder, monkeypatch):
    monkeypatch.chdir(model_folder.parent)
    for asked in (str(model_folder), f"local-dir:{model_folder}", f"./{model_folder.name}", model_folder.name):
        spec = registry.resolve(asked)
        assert (spec.name, spec.checkpoint) == (str(model_folder), model_folder / "open_clip_model.safetensors")


def test_a_folder_that_is_no_model_says_what_it_lacks(registry, tmp_path):
    with pytest.raises(UnknownModel, match="no model folder"):
        registry.resolve("/nowhere/at all")
    with pytest.raises(UnknownModel, match=r"open_clip_config\.json"):
        registry.resolve(str(tmp_path))
    folder = write_folder(tmp_path / "m")
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match="holds no weights"):
        registry.resolve(str(folder))
    (folder / "open_clip_config.json").write_text('{"model_cfg": {}}')
    with pytest.raises(UnknownModel, match="has no embed_dim, vision_cfg, text_cfg"):
        registry.resolve(str(folder))


def test_the_stores_model_is_read_from_its_file(tmp_path):
    settings = Settings(home=tmp_path, cache=tmp_path)
    assert read_store_model(settings) is None
    connection = sqlite3.connect(tmp_path / "index.db")
    connection.execute("CREATE TABLE other (x)")
    assert read_store_model(settings) is None
    connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)")
    connection.commit()
    assert read_store_model(settings) is None
    connection.execute("INSERT INTO meta VALUES ('model_name', 'starter')")
    connection.commit()
    connection.close()
    assert read_store_model(settings) == "starter"


def test_the_model_that_the_indexer_writes_into_its_store_is_the_one_that_is_read(tmp_path):
    with Store(tmp_path) as store:
        store.register(video(), "ViT-B-32/laion2b@0123456789abcdef:01234567")
        assert read_store_model(Settings(home=tmp_path, cache=tmp_path)) == "ViT-B-32/laion2b"


def test_the_model_of_a_store_in_postgresql_is_read_too(tmp_path, postgres):
    settings = Settings(home=tmp_path, cache=tmp_path, store=postgres)
    assert read_store_model(settings) is None
    with Store(PostgresDatabase(postgres, "main")) as store:
        store.register(video(), "ViT-B-32/laion2b@0123456789abcdef:01234567")
    assert read_store_model(settings) == "ViT-B-32/laion2b"


def test_a_text_in_another_script_gets_a_warning_from_a_model_that_knows_english_only(registry):
    spec = registry.resolve("starter")
    assert "clipseek model use multilingual" in language_warning("红色的汽车", spec)[0]
    assert language_warning("a red car at the café, 2024!", spec) == []
    assert [has_other_script(t) for t in ("ｃａｔ", "кошка", "ねこ", "naïve ªº", "🐈 3€")] == [
        False, True, True, False, False,
    ]  # fmt: skip


def test_probe_seconds_leave_time_to_decide():
    assert hub_module.PROBE_SECONDS < 5


def test_the_profiles_name_the_repositories_that_open_clip_names():
    for profile in PROFILES.values():
        named = open_clip.get_pretrained_cfg(profile.architecture, profile.tag)["hf_hub"]
        assert named.rpartition("/")[0] == profile.repository


def test_what_open_clip_knows_of_a_model_is_asked_once(tmp_path, monkeypatch, model_folder):
    @dataclass(frozen=True)
    class FullCache(StubHub):
        def find_cached(self, repository, names):
            return model_folder / "open_clip_model.safetensors"

    registry = Registry(tmp_path, FullCache())
    first = registry.resolve("ViT-B-32/laion2b_s34b_b79k")
    monkeypatch.setattr(open_clip_facts, "import_open_clip", None)
    assert registry.resolve("ViT-B-32/laion2b_s34b_b79k") == first
    assert registry.resolve("ViT-B-32/laion2b-s34b-b79k").name == first.name
    [file] = (tmp_path / "open_clip").rglob("*.json")
    file.write_text("{damaged")
    monkeypatch.undo()
    assert registry.resolve("english").model_cfg == first.model_cfg
