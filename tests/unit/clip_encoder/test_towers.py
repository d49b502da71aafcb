import json
import shutil
import threading

import numpy as np
import open_clip
import pytest
import torch

from benchmarks.synthetic.models import CONTEXT, PREPROCESS_CFG, write_folder
from clipseek.api.errors import EmptyQuery, InvalidRequest, InvalidSetting, ModelError
from executors.clip_encoder.model.folder import read_model_folder
from executors.clip_encoder.model.spec import ModelSpec
from executors.clip_encoder.pytorch.weights import load_half
from executors.clip_encoder.run import device
from executors.clip_encoder.run.device import CUDA_BATCH, Device, choose_device
from executors.clip_encoder.run.preprocessing import prepare
from executors.clip_encoder.run.towers import ImageTower, TextTower

CPU = choose_device("cpu")
TEXTS = ["a red car", "a cat on a sofa", "雪山"]


def spec_of(folder) -> ModelSpec:
    return read_model_folder(folder, "tiny", "test")


def unit(vectors: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(vectors, dim=-1).numpy()


@pytest.mark.parametrize("custom_text", [False, True])
@pytest.mark.parametrize("torch_file", [False, True])
def test_each_tower_alone_computes_what_the_whole_model_of_open_clip_does(tmp_path, pictures, custom_text, torch_file):
    folder = write_folder(tmp_path / "m", custom_text=custom_text, torch_file=torch_file)
    if torch_file:  # open_clip reads the same weights from its own layout
        state = open_clip.factory.load_state_dict(str(folder / "open_clip_pytorch_model.bin"))
        whole = (open_clip.CustomTextCLIP if custom_text else open_clip.CLIP)(
            **{k: v for k, v in spec_of(folder).model_cfg.items() if k != "custom_text"}
        )
        whole.load_state_dict(state)
        whole.eval()
    else:
        whole = open_clip.create_model(f"local-dir:{folder}").eval()
    tokens = open_clip.SimpleTokenizer(context_length=CONTEXT)(TEXTS)
    prepared = torch.from_numpy(prepare(pictures, spec_of(folder).preprocessing))
    with torch.no_grad():
        expected_images, expected_texts = unit(whole.encode_image(prepared)), unit(whole.encode_text(tokens))

    images = ImageTower(spec_of(folder), CPU).encode(pictures)
    texts = TextTower(spec_of(folder), CPU).encode(TEXTS)

    assert images.dtype == texts.vectors.dtype == np.float32
    np.testing.assert_allclose(images, expected_images, atol=1e-6)
    np.testing.assert_allclose(texts.vectors, expected_texts, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-6)


def test_only_one_half_is_in_memory(model_folder):
    def count(half):
        return sum(p.numel() for p in load_half(spec_of(model_folder), half).parameters())

    whole = sum(p.numel() for p in open_clip.create_model(f"local-dir:{model_folder}").parameters())
    assert count("image") < 0.05 * whole  # nearly all of the tiny model is its 49408 token vectors
    assert count("image") + count("text") == whole - 1  # the logit scale belongs to neither


def test_a_layout_that_wants_the_whole_model_still_gives_the_same(tmp_path, model_folder, pictures):
    folder = tmp_path / "resized"  # context of 12 where the weights have 16: open_clip interpolates the positions
    shutil.copytree(model_folder, folder)
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["context_length"] = 12
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    whole = open_clip.create_model(f"local-dir:{folder}").eval()
    with torch.no_grad():
        expected = unit(whole.encode_text(open_clip.SimpleTokenizer(context_length=12)(TEXTS)))
    tower = TextTower(spec_of(folder), CPU)
    np.testing.assert_allclose(tower.encode(TEXTS).vectors, expected, atol=1e-6)
    assert not any(name.startswith("model.visual") for name, _ in load_half(spec_of(folder), "text").named_parameters())


def test_a_model_with_a_caption_decoder_gives_both_halves(tmp_path, pictures):
    config = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16,
                       "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
        "text_cfg": {"context_length": 15, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1,
                     "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
        "custom_text": True,
    }  # fmt: skip
    model = open_clip.CoCa(**{k: v for k, v in config.items() if k != "custom_text"}).eval()
    torch.save(model.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": PREPROCESS_CFG}))
    spec = spec_of(tmp_path)
    with torch.no_grad():
        images = model.encode_image(torch.from_numpy(prepare(pictures, spec.preprocessing))).numpy()
        texts = model.encode_text(open_clip.SimpleTokenizer(context_length=15)(TEXTS)).numpy()
    np.testing.assert_allclose(ImageTower(spec, CPU).encode(pictures), images, atol=1e-6)
    np.testing.assert_allclose(TextTower(spec, CPU).encode(TEXTS).vectors, texts, atol=1e-6)


def test_merging_the_branches_of_mobileclip_changes_nothing_that_counts():
    from timm.utils.model import reparameterize_model

    torch.manual_seed(1)
    tower = open_clip.model._build_vision_tower(512, open_clip.get_model_config("MobileCLIP2-S0")["vision_cfg"]).eval()
    picture = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        before = tower(picture)
        merged = reparameterize_model(tower)
        after = merged(picture)
    assert sum(1 for _ in merged.modules()) < sum(1 for _ in tower.modules())
    np.testing.assert_allclose(unit(after), unit(before), atol=1e-4)


def test_a_batch_gives_what_single_pictures_give_and_none_gives_none(model_folder, pictures):
    tower = ImageTower(spec_of(model_folder), CPU)
    many = np.concatenate([pictures] * 8)[:37]  # more than two batches
    together = tower.encode(many)
    single = np.concatenate([tower.encode(picture[None]) for picture in many])
    np.testing.assert_allclose(together, single, atol=1e-5)
    assert tower.encode(pictures[:0]).shape == (0, 24)


def test_texts_together_give_what_each_gives_alone_from_any_thread(model_folder):
    tower = TextTower(spec_of(model_folder), CPU)
    expected = tower.encode(TEXTS).vectors
    answers = {}
    threads = [
        threading.Thread(target=lambda i=i: answers.update({i: tower.encode([TEXTS[i % 3]])})) for i in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, answer in answers.items():
        np.testing.assert_allclose(answer.vectors[0], expected[i % 3], atol=1e-6)
    assert len(answers) == 12
    assert tower.encode([]).vectors.shape == (0, 24)


def test_a_text_beyond_the_context_is_said_to_be_cut(model_folder):
    tower = TextTower(spec_of(model_folder), CPU)
    fits, exceeds = " ".join(["cat"] * (CONTEXT - 2)), " ".join(["cat"] * (CONTEXT - 1))
    encoded = tower.encode([fits, exceeds])
    assert encoded.token_counts == (CONTEXT, CONTEXT + 1)
    assert encoded.truncation_warnings == [
        "The text has 17 tokens; this model reads the first 16 and ignores the rest."
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_a_blank_text_is_refused(model_folder, text):
    with pytest.raises(EmptyQuery, match="empty"):
        TextTower(spec_of(model_folder), CPU).encode(["a cat", text])


@pytest.mark.parametrize("shape", [(32, 32, 3), (1, 32, 32, 4), (1, 0, 32, 3)])
def test_pictures_of_another_shape_are_refused(model_folder, shape):
    with pytest.raises(InvalidRequest, match="pictures must be uint8"):
        ImageTower(spec_of(model_folder), CPU).encode(np.zeros(shape, np.uint8))


def test_a_vector_without_direction_is_an_error(tmp_path, pictures):
    from safetensors.torch import load_file, save_file

    folder = write_folder(tmp_path / "m")
    tensors = load_file(folder / "open_clip_model.safetensors")
    tensors["visual.proj"].zero_()
    save_file(tensors, folder / "open_clip_model.safetensors")
    with pytest.raises(ModelError, match="without a direction"):
        ImageTower(spec_of(folder), CPU).encode(pictures)


@pytest.mark.parametrize("content", [b"", b"not weights at all" * 100])
@pytest.mark.parametrize("name", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_damaged_weights_are_named(tmp_path, model_folder, content, name):
    shutil.copy(model_folder / "open_clip_config.json", tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=name):
        ImageTower(spec_of(tmp_path), CPU)


def test_weights_of_another_architecture_are_refused(tmp_path, model_folder):
    folder = tmp_path / "m"
    shutil.copytree(model_folder, folder)
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"]["layers"] = 3
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="image half of tiny cannot be loaded"):
        ImageTower(spec_of(folder), CPU)


def test_the_device_is_the_one_that_is_there(monkeypatch):
    monkeypatch.setattr(device, "has_gpu", lambda: False)
    assert choose_device("auto") == choose_device("cpu")
    assert (choose_device("auto").name, choose_device("auto").precision) == ("cpu", "fp32")
    with pytest.raises(InvalidSetting, match="no usable NVIDIA GPU"):
        choose_device("cuda")
    with pytest.raises(InvalidSetting, match="'tpu'"):
        choose_device("tpu")
    monkeypatch.setattr(device, "has_gpu", lambda: True)
    assert (choose_device("auto").name, choose_device("cuda").precision) == ("cuda", "fp16")
    assert choose_device("cpu").name == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.9999), ("fp16", 0.9999), ("bf16", 0.999)])
def test_a_gpu_computes_the_vectors_of_the_cpu(tmp_path, pictures, precision, least):
    spec = spec_of(write_folder(tmp_path / "m"))
    gpu = Device("cuda", precision, 2)  # so in several batches
    larger = np.repeat(np.repeat(pictures, 2, axis=1), 2, axis=2)
    for some in (pictures, larger, pictures[:0]):
        images = ImageTower(spec, gpu).encode(some)
        assert np.all((images * ImageTower(spec, CPU).encode(some)).sum(axis=1) > least)
    texts = TextTower(spec, gpu).encode(TEXTS).vectors
    assert np.all((texts * TextTower(spec, CPU).encode(TEXTS).vectors).sum(axis=1) > least)
    assert choose_device("auto") == Device("cuda", "fp16", CUDA_BATCH)
