"""Preset folders, published checkpoints, and getting their files."""

import hashlib
import http.server
import json
import threading

import keras
import numpy as np
import pytest
import torch
import torch_ast
import torch_hts_at
import torch_vit
from contract import numpy
from transformers import ClapFeatureExtractor

from keras_c2f.convert import (
    PUBLISHED,
    SOURCES,
    load_checkpoint,
    load_preset,
)
from keras_c2f.convert import preset as preset_module
from keras_c2f.convert.citations import CITATIONS
from keras_c2f.convert.class_names import CLASS_LISTS, read_class_names
from keras_c2f.convert.download import download
from keras_c2f.layers.log_mel import Frontend, LogMel

pytestmark = pytest.mark.once

TRAINED = {
    "num_frames": 53,
    "num_mel_bins": 38,
    "patch_stride": (16, 16),
    "num_heads": 3,
}
CLIPS = np.random.default_rng(0).normal(size=(2, 53, 38)).astype("float32")


@pytest.fixture
def pth(tmp_path):
    original = torch_vit.randomize(torch_vit.Ast())
    return torch_vit.save_pth(original, tmp_path / "ast.pth", "module.")


@pytest.fixture
def hub(tmp_path):
    """A folder as Hugging Face has them."""
    folder = tmp_path / "hub"
    torch_ast.original(10, 10).save_pretrained(folder)
    features = {
        "mean": -4.0,
        "std": 3.5,
        "num_mel_bins": 38,
        "sampling_rate": 16000,
        "max_length": 53,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(features))
    return folder


def test_hugging_face_tells_front_end_and_classes(hub):
    converted = load_checkpoint(hub)
    assert converted.frontend == Frontend(num_mel_bins=38, mean=-4.0, std=3.5)
    assert converted.class_names == [f"LABEL_{i}" for i in range(5)]
    assert converted.report.dropped == ()
    model = load_checkpoint(hub, input_kind="waveform").model
    assert model.input_shape == (None, None)
    assert model.frontend == converted.frontend


def test_front_end_of_clap(tmp_path):
    tower, _ = torch_hts_at.original()
    tower.save_pretrained(tmp_path)
    extractor = ClapFeatureExtractor(
        truncation="rand_trunc",
        frequency_min=50,
        feature_size=16,
        max_length_s=1,
    )
    extractor.save_pretrained(tmp_path)
    frontend = load_checkpoint(tmp_path).frontend
    audio = np.random.default_rng(0).normal(size=48000).astype("float32") / 10
    theirs = extractor(audio, sampling_rate=48000)["input_features"][0][0]
    num_frames = frontend.num_frames(48000)
    assert theirs.shape == (num_frames, frontend.num_mel_bins) == (101, 16)
    mine = numpy(LogMel(frontend, num_frames)(audio[None]))[0]
    np.testing.assert_allclose(mine, theirs, atol=5e-3)  # decibels


def test_folder_keeps_all_that_belongs_to_a_model(hub, tmp_path):
    converted = load_checkpoint(hub, num_frames=69)
    folder = tmp_path / "out" / "preset"
    converted.save(folder)
    loaded = load_preset(str(folder))
    clips = np.pad(CLIPS, [(0, 0), (0, 16), (0, 0)])
    np.testing.assert_array_equal(
        numpy(loaded.model(clips)), numpy(converted.model(clips))
    )
    for name in ("frontend", "class_names", "about"):
        assert getattr(loaded, name) == getattr(converted, name)
    card = json.loads((folder / "preset.json").read_text())
    assert "resized positions/grid" in card["report"]
    with pytest.raises(ValueError, match="is not empty"):
        converted.save(folder)
    (folder / "model.weights.h5").unlink()
    with pytest.raises(ValueError, match="it has no model.weights.h5"):
        load_preset(str(folder))


def test_keras_file_is_the_model_alone(pth, tmp_path):
    converted = load_checkpoint(pth, trained=TRAINED)
    converted.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        numpy(model(CLIPS)), numpy(converted.model(CLIPS))
    )


def test_matrices_of_a_front_end_are_kept(shared_data, tmp_path):
    path = shared_data / "pretrained" / "kwt1" / "kwt1.npz"
    converted = load_checkpoint(path, preset="kwt1")
    converted.save(tmp_path / "kwt1")
    loaded = load_preset(str(tmp_path / "kwt1"))
    audio = np.random.default_rng(0).normal(size=(1, 16000)) / 10
    mfcc = converted.frontend(audio)
    assert mfcc.dtype == "float32"
    np.testing.assert_array_equal(loaded.frontend(audio), mfcc)
    assert loaded.about["licence"] == "Apache-2.0"
    assert loaded.class_names[-1] == "go"


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_preset_is_complete(name):
    entry = PUBLISHED[name]
    assert entry.source in SOURCES
    assert entry.page.startswith("https://")
    assert entry.licence in ("BSD-3-Clause", "Apache-2.0", "MIT", "CC0-1.0")
    assert entry.citation in CITATIONS
    assert entry.class_names in (None, *CLASS_LISTS)
    assert entry.sha256 is None or entry.sha256 in entry.files[0]
    if entry.frontend is not None:
        Frontend(**entry.frontend)


@pytest.mark.parametrize(
    "name", [n for n, entry in PUBLISHED.items() if entry.source == "ast"]
)
def test_geometries_have_the_published_number_of_positions(name):
    """1212, 850, 657, 512 at stride 10, 12, 14, 16; speech commands 144."""
    trained = PUBLISHED[name].trained
    if "patch_stride" not in trained:  # Hugging Face's config tells
        return
    stride = trained["patch_stride"][0]
    count = {10: 1212, 12: 850, 14: 657, 16: 512}[stride]
    if trained["num_frames"] == 128:
        count = 144
    sides = [
        (trained[size] - 16) // stride + 1
        for size in ("num_frames", "num_mel_bins")
    ]
    assert sides[0] * sides[1] == count


def test_class_lists(shared_data):
    for name, file in (
        ("audioset", "audioset/class_labels_indices.csv"),
        ("speech_commands", "labels/speechcommands_class_labels_indices.csv"),
        ("esc50", "labels/esc_class_labels_indices.csv"),
        ("kwt1", "pretrained/kwt1/labels.txt"),
    ):
        if (shared_data / file).is_file():
            names = read_class_names(shared_data / file)
            assert len(set(names)) == CLASS_LISTS[name].num_classes


def test_class_names_of_another_form_are_refused(tmp_path):
    path = tmp_path / "names.csv"
    path.write_text("number,name\n0,dog\n")
    with pytest.raises(ValueError, match="no columns `index` and"):
        read_class_names(path)
    path.write_text("index,display_name\n1,dog\n")
    with pytest.raises(ValueError, match="do not count from 0"):
        read_class_names(path)
    path.write_text("index,display_name\n0,dog\n1,cat\n")
    assert read_class_names(path) == ["dog", "cat"]


@pytest.mark.parametrize(
    "suffix, text",
    [
        (".txt", "dog\ncat\n"),
        (".txt", "\ufeff dog\r\ncat\r\n\r\n"),
        (".csv", "\ufeffindex,display_name\n0,dog\n1,cat\n"),
        (".JSON", '\ufeff{"cat": 1, "dog": 0}'),
    ],
)
def test_class_names_as_other_programs_save_them(tmp_path, suffix, text):
    path = tmp_path / f"names{suffix}"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_class_names(path) == ["dog", "cat"]


@pytest.mark.parametrize(
    "suffix, content, match",
    [
        (".txt", b"dog\n\ncat\n", "the name '' for class 1"),
        (".txt", b"", "the name '' for class 0"),
        (".txt", b"dog\ncat\ndog\n", "two classes 'dog'"),
        (".txt", b"d\xf6g\n", "names.txt is not UTF-8"),
        (".csv", b"index,display_name\n0\n1,cat\n", "the name None for"),
        (".csv", b"index,display_name\n0,a\n1,a\n", "two classes 'a'"),
        (".json", b'{"dog":', "not a JSON of class name -> number"),
        (".json", b'{"dog": null}', "not a JSON of class name -> number"),
    ],
)
def test_class_names_that_are_none(tmp_path, suffix, content, match):
    path = tmp_path / f"names{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match):
        read_class_names(path)


@pytest.mark.parametrize(
    "file, text",
    [
        ("class_label_indice.csv", "index,mid,display_name\n0,/m/1,dog\n"),
        ("class_labels_indices.csv", "index,mid,display_name\n0,/m/1,dog\n"),
        ("audioset_class_labels_indices.json", '{"dog": 0}'),
    ],
)
def test_class_lists_under_each_repositorys_name(file, text, tmp_path):
    (tmp_path / file).write_text(text)
    path = CLASS_LISTS["audioset"].beside(tmp_path / "weights.pth")
    assert read_class_names(path) == ["dog"]
    for wrong in ('["dog"]', '{"dog": 1}', '{"dog": 0, "cat": 0}'):
        (tmp_path / "a.json").write_text(wrong)
        with pytest.raises(ValueError, match="class name -> number"):
            read_class_names(tmp_path / "a.json")
    with pytest.raises(ValueError, match="no list of class names at"):
        read_class_names(tmp_path / "none.csv")


# Getting files


class Server(http.server.BaseHTTPRequestHandler):
    """Serves one file, behind a redirect as Hugging Face has it, or cut."""

    content = b"weights" * 1000

    def do_GET(self):  # noqa: N802  the standard library's name
        if self.path == "/linked":
            self.send_response(302)
            digest = hashlib.sha256(self.content).hexdigest()
            self.send_header("X-Linked-Etag", f'"{digest}"')
            self.send_header("Location", "/file")
            self.end_headers()
        elif self.path == "/linked-to-another":
            self.send_response(302)
            self.send_header("X-Linked-Etag", f'"{"0" * 64}"')
            self.send_header("Location", "/file")
            self.end_headers()
        else:
            self.send_response(200 if self.path != "/none" else 404)
            self.send_header("Content-Length", str(len(self.content)))
            self.end_headers()
            cut = self.path == "/cut"
            self.wfile.write(self.content[: 100 if cut else None])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_downloads_whole_files_alone(address, tmp_path):
    path = tmp_path / "new" / "file.bin"
    assert download(f"{address}/file", path) is None
    assert path.read_bytes() == Server.content
    digest = hashlib.sha256(Server.content).hexdigest()
    assert download(f"{address}/file", path, digest[:8]) == digest[:8]
    assert download(f"{address}/linked", path) == digest
    path.unlink()
    with pytest.raises(ValueError, match="not the file that its authors"):
        download(f"{address}/file", path, "00000000")
    with pytest.raises(ValueError, match="theirs begins 00000000"):
        download(f"{address}/linked-to-another", path)
    with pytest.raises(ValueError, match="broke off after 100 of 7000"):
        download(f"{address}/cut", path)
    with pytest.raises(OSError, match="404"):
        download(f"{address}/none", path)
    assert list(path.parent.iterdir()) == []


def test_a_preset_takes_the_file_that_is_there(tmp_path, monkeypatch):
    """AST-base in its layout is large; a published name with a small file."""
    name = "ast_speechcommands_10_10_0.9812"
    entry = PUBLISHED[name]
    original = torch_vit.randomize(
        torch_vit.Ast(
            num_classes=35,
            stride=(10, 10),
            grid=(12, 12),
            width=64,
            num_heads=1,
            depth=12,
        ),
        scale=0.1,  # wider and deeper than others: scores grow with both
    )
    torch_vit.save_pth(original, tmp_path / entry.files[0], "module.")
    monkeypatch.setattr(preset_module, "download", refuse)
    converted = load_preset(name, tmp_path, num_frames=64)
    assert converted.frontend.mean == -6.845978
    assert converted.class_names is None
    assert converted.about["licence"] == "BSD-3-Clause"
    clips = np.random.default_rng(0).normal(size=(2, 128, 128))
    clips = clips.astype("float32")
    whole = load_preset(name, tmp_path).model
    with torch.no_grad():
        _, logits = original(torch.tensor(clips))
    np.testing.assert_allclose(numpy(whole(clips)), logits.numpy(), atol=1e-4)


def test_a_preset_whose_last_block_is_missing(tmp_path):
    """11 of 12 blocks are no smaller model: the file was cut or changed."""
    name = "ast_speechcommands_10_10_0.9812"
    original = torch_vit.Ast(
        num_classes=35,
        stride=(10, 10),
        grid=(12, 12),
        width=64,
        num_heads=1,
        depth=11,
    )
    path = tmp_path / PUBLISHED[name].files[0]
    torch_vit.save_pth(original, path, "module.")
    with pytest.raises(ValueError, match=r"lacks the key.*blocks\.11\."):
        load_preset(name, tmp_path)


@pytest.mark.parametrize(
    "name", [n for n, entry in PUBLISHED.items() if entry.source == "passt"]
)
def test_every_passt_has_a_table_for_its_clips(name, tmp_path, monkeypatch):
    """`input_tdim // stride` entries, as the original makes its table."""
    trained = PUBLISHED[name].trained
    num_frames, stride = trained["num_frames"], trained["patch_stride"][0]
    # 10 s are 1000 frames; the original's code says 998
    entries = (998 if num_frames == 1000 else num_frames) // stride
    patches = (num_frames - 16) // stride + 1
    assert entries in (patches, num_frames // stride)
    assert patches <= entries
    sizes = {"width": 64, "num_heads": 1, "depth": trained["depth"]}
    small = torch_vit.Passt(
        stride=(stride, stride),
        grid=((128 - 16) // stride + 1, patches),
        entries=entries,
        hidden=64,
        **sizes,
    )
    torch_vit.save_pth(small, tmp_path / PUBLISHED[name].files[0])
    monkeypatch.setattr(preset_module, "download", refuse)
    model = load_preset(name, tmp_path).model
    assert model.backbone.grid_size[0] == patches


def refuse(*arguments):
    raise OSError("no network")


@pytest.mark.parametrize(
    "error", [OSError("gone"), ValueError("cut"), ImportError("no tqdm")]
)
def test_weights_without_their_class_list(error, tmp_path, monkeypatch):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(preset_module, "download", fail)
    monkeypatch.setattr(
        preset_module, "load_checkpoint", lambda path, **options: path
    )
    name = "ast_audioset_16_16_0.4422"
    path = tmp_path / preset_module.published(name).files[0]
    path.write_bytes(b"")
    assert load_preset(name, tmp_path) == path


def test_addresses_and_sums_that_are_asked_for(tmp_path, monkeypatch):
    asked = []

    def note(url, path, sha256=None):
        asked.append((url, path.name, sha256))
        raise OSError("no network")

    monkeypatch.setattr(preset_module, "download", note)
    for name in (
        "deit_tiny_patch16_224",
        "MIT/ast-finetuned-speech-commands-v2",
    ):
        with pytest.raises(OSError, match="no network"):
            load_preset(name, tmp_path)
    file = "deit_tiny_patch16_224-a1311bcf.pth"
    hub = "https://huggingface.co/MIT/ast-finetuned-speech-commands-v2"
    assert asked == [
        (f"https://dl.fbaipublicfiles.com/deit/{file}", file, "a1311bcf"),
        (
            f"{hub}/resolve/main/model.safetensors",
            "model.safetensors",
            None,
        ),
    ]


def test_a_missing_file_says_what_to_place_where(tmp_path, monkeypatch):
    monkeypatch.setattr(preset_module, "download", refuse)
    monkeypatch.setenv("KERAS_C2F_CACHE", str(tmp_path))
    with pytest.raises(
        OSError,
        match=r"could not be downloaded \(no network\). Put "
        r"audioset_16_16_0.4422.pth in .*/ast_audioset_16_16_0.4422; its .* "
        "https://github.com/YuanGongND",
    ):
        load_preset("ast_audioset_16_16_0.4422")
    with pytest.raises(OSError, match="no address to download kwt1.npz from"):
        load_preset("kwt1")
    with pytest.raises(ValueError, match="no published checkpoint 'kwt9'"):
        load_preset("kwt9")
