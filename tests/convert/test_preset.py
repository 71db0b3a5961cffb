"""`from_preset`: one address for published weights, folders and `hf://`."""

from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from contract import numpy

from keras_c2f import AST, HTSAT, AudioClassifier, Frontend, transplant
from keras_c2f.convert import hub, load_preset
from keras_c2f.convert import preset as preset_module
from keras_c2f.convert.hub import model_card
from keras_c2f.inference import load_classifier

NAMES = ["bark", "rain", "siren"]
FRONTEND = Frontend(num_mel_bins=12)
CLIPS = np.random.default_rng(0).normal(size=(2, 24, 12)).astype("float32")


def classifier(**options):
    backbone = AST(24, 12, (4, 4), width=12, depth=1, num_heads=3)
    return AudioClassifier(backbone, 3, **options)


@pytest.fixture
def trained(tmp_path):
    """A classifier and the folder it was saved to."""
    model = classifier()
    folder = tmp_path / "preset"
    model.save_to_preset(
        folder, FRONTEND, NAMES, multi_label=True, about={"data": "my street"}
    )
    return model, str(folder)


def test_a_model_comes_back_with_all_that_belongs_to_it(trained):
    model, folder = trained
    loaded = AudioClassifier.from_preset(folder)
    np.testing.assert_array_equal(numpy(loaded(CLIPS)), numpy(model(CLIPS)))
    assert loaded.preset.class_names == NAMES
    assert loaded.preset.frontend == FRONTEND
    assert loaded.preset.multi_label
    assert loaded.preset.about == {"data": "my street"}


def test_a_backbone_comes_out_of_a_classifier(trained):
    model, folder = trained
    backbone = AST.from_preset(folder)
    tokens = numpy(model.backbone(CLIPS))
    np.testing.assert_array_equal(numpy(backbone(CLIPS)), tokens)


def test_what_is_known_goes_into_the_next_folder(trained, tmp_path):
    model, folder = trained
    again = tmp_path / "again"
    AudioClassifier.from_preset(folder).save_to_preset(
        again, about={"score": "94 %"}
    )
    found = load_preset(str(again))
    assert found.class_names == NAMES and found.frontend == FRONTEND
    assert found.multi_label
    assert found.about == {"data": "my street", "score": "94 %"}


def test_a_new_head_has_no_names(trained):
    model, folder = trained
    other = AudioClassifier.from_preset(folder, num_classes=5)
    assert other.output_shape == (None, 5)
    assert other.preset.class_names is None
    assert other.preset.frontend == FRONTEND
    np.testing.assert_array_equal(
        numpy(other.backbone(CLIPS)), numpy(model.backbone(CLIPS))
    )


def test_a_new_head_on_a_backbone_alone(tmp_path):
    backbone = classifier().backbone
    backbone.save_to_preset(tmp_path / "backbone")
    folder = str(tmp_path / "backbone")
    with pytest.raises(ValueError, match="of AST, not of AudioClassifier.*new"):
        AudioClassifier.from_preset(folder)
    model = AudioClassifier.from_preset(folder, num_classes=2)
    np.testing.assert_array_equal(
        numpy(model.backbone(CLIPS)), numpy(backbone(CLIPS))
    )


def test_another_geometry(trained):
    """Weights are resized as when a phase begins."""
    model, folder = trained
    coarse = AudioClassifier.from_preset(folder, resolution="patch:2")
    expected = model.at_resolution("patch:2")
    transplant(model, expected)
    np.testing.assert_array_equal(numpy(coarse(CLIPS)), numpy(expected(CLIPS)))
    assert coarse.preset.class_names == NAMES
    wide = AudioClassifier.from_preset(folder, num_mel_bins=16)
    assert wide.preset.frontend.num_mel_bins == 16


def test_what_is_fed_stays(tmp_path):
    model = classifier(input_kind="waveform", frontend=FRONTEND)
    model.save_to_preset(tmp_path / "preset")
    shorter = AudioClassifier.from_preset(
        str(tmp_path / "preset"), num_frames=12
    )
    assert shorter.input_kind == "waveform"
    assert shorter.frontend == shorter.preset.frontend == FRONTEND


def test_another_class_is_refused(trained):
    _, folder = trained
    with pytest.raises(ValueError, match="of AST, not of HTSAT. Use AST.from"):
        HTSAT.from_preset(folder)
    with pytest.raises(ValueError, match="AST has no argument 'num_framse'"):
        AST.from_preset(folder, num_framse=3)
    with pytest.raises(ValueError, match="no published checkpoint 'kwt9'"):
        AST.from_preset("kwt9")


def test_names_are_counted(tmp_path):
    with pytest.raises(ValueError, match="2 class names.* 3 classes"):
        classifier().save_to_preset(tmp_path / "a", class_names=NAMES[:2])


def test_a_folder_is_a_classifier(trained):
    model, folder = trained
    found = load_classifier(folder)
    assert found.info.class_names == tuple(NAMES)
    audio = np.random.default_rng(0).normal(size=(1, 4000)).astype("float32")
    assert found.scores(audio / 10).shape == (1, 3)


class FakeHub:
    """Repositories on the Hub as folders, in the place of the network."""

    def __init__(self, root):
        self.root = root

    def snapshot_download(self, repository, allow_patterns):
        folder = self.root / repository
        if not folder.is_dir():
            raise OSError("404 Client Error")
        return str(folder)

    def HfApi(self):  # noqa: N802  as the library calls it
        return self

    def create_repo(self, repository, private, exist_ok):
        assert exist_ok
        self.private = private
        return f"https://hub/{repository}"

    def upload_folder(self, repo_id, folder_path):
        target = self.root / repo_id
        target.parent.mkdir()
        Path(folder_path).replace(target)


@pytest.fixture
def fake_hub(tmp_path, monkeypatch):
    fake = FakeHub(tmp_path / "hub")
    fake.root.mkdir()
    monkeypatch.setattr(hub, "hub", fake)
    return fake


def test_what_is_pushed_comes_back(trained, fake_hub):
    model, folder = trained
    page = AudioClassifier.from_preset(folder).push_to_hub(
        "hf://me/street", private=True, about={"score": "94 % of 200 clips"}
    )
    assert page == "https://hub/me/street" and fake_hub.private
    loaded = AudioClassifier.from_preset("hf://me/street")
    np.testing.assert_array_equal(numpy(loaded(CLIPS)), numpy(model(CLIPS)))
    assert loaded.preset.class_names == NAMES
    text = (fake_hub.root / "me" / "street" / "README.md").read_text()
    for words in ("my street", "94 % of 200 clips", "bark, rain, siren"):
        assert words in text
    assert 'AudioClassifier.from_preset("hf://me/street")' in text


def test_a_checkpoint_of_the_hub_is_converted(fake_hub, monkeypatch):
    (fake_hub.root / "MIT" / "ast").mkdir(parents=True)
    asked = []
    monkeypatch.setattr(
        preset_module,
        "load_checkpoint",
        lambda path, **options: asked.append((path, options)),
    )
    load_preset("hf://MIT/ast", num_frames=9)
    path = fake_hub.root / "MIT" / "ast"
    assert asked == [(path, {"preset": None, "num_frames": 9})]


def test_what_is_not_on_the_hub(fake_hub):
    with pytest.raises(OSError, match="hf://me/none could not be down.*login"):
        AST.from_preset("hf://me/none")
    for wrong in ("hf://street", "hf://me/street/1", "me/street"):
        with pytest.raises(ValueError, match="is written hf://user/name"):
            classifier().push_to_hub(wrong)


def test_a_page_names_licence_and_kind():
    model = AST(24, 12, (4, 4), width=12, depth=1, num_heads=3)
    model.preset = None
    found = SimpleNamespace(
        model=model,
        about={"licence": "BSD-3-Clause", "score": ""},
        class_names=None,
        notes=("Positions are cut.",),
    )
    text = model_card(found, "hf://me/a")
    header = text.split("---")[1]
    assert "license: bsd-3-clause" in header
    assert "# a\n" in text and "- Positions are cut." in text
    assert "**score**" not in text and "AST.from_preset" in text


@pytest.mark.once
def test_saved_models_do_not_hold_their_preset(trained, tmp_path):
    """The attribute is no part of the network."""
    _, folder = trained
    loaded = AudioClassifier.from_preset(folder)
    loaded.save(tmp_path / "a.keras")
    assert keras.saving.load_model(tmp_path / "a.keras").preset is None
