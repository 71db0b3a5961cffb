"""What `convert` wrote, put to use from the command line."""

import json

import numpy as np
import pytest
import torch
import torch_vit
from contract import numpy
from test_cli import run

from keras_c2f.convert.frontends import FRONTENDS, named_frontend
from keras_c2f.layers.log_mel import Frontend, LogMel

soundfile = pytest.importorskip("soundfile")
pytestmark = pytest.mark.once


def test_a_converted_classifier_is_put_to_use(tmp_path, capsys):
    """`predict`, `evaluate` and `export` take what `convert` wrote."""
    original = torch_vit.randomize(
        torch_vit.Ast(num_classes=2, grid=(2, 6), width=64, num_heads=1)
    )
    path = torch_vit.save_pth(original, tmp_path / "ast.pth", "module.")
    folder = tmp_path / "preset"
    (tmp_path / "names.txt").write_text("dog\nrain\n")
    (tmp_path / "frontend.json").write_text('{"num_mel_bins": 38}')
    arguments = [
        *("convert", path, folder, "--trained-num-frames=98"),
        *("--trained-num-mel-bins=38", "--trained-patch-stride=16x16"),
        f"--class-names={tmp_path / 'names.txt'}",
    ]
    rng = np.random.default_rng(0)
    for name in ("dog", "rain"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(3):
            noise = rng.normal(0, 0.1, 16000)
            file = tmp_path / "data" / name / f"{index}.wav"
            soundfile.write(file, noise, 16000)
    assert run(capsys, *arguments)[0] == 0
    predict = ("predict", f"--run={folder}", "--format=json", file)
    code, _, err = run(capsys, *predict)
    assert code == 2 and "Convert it again with --frontend" in err
    arguments[2] = folder = tmp_path / "whole"
    code, _, err = run(
        capsys, *arguments, f"--frontend={tmp_path / 'frontend.json'}"
    )
    assert code == 0, err
    predict = ("predict", f"--run={folder}", "--format=json", file)
    code, out, err = run(capsys, *predict)
    assert code == 0, err
    clip = soundfile.read(file, dtype="float32")[0][None]
    features = numpy(LogMel(Frontend(num_mel_bins=38), 98)(clip))
    with torch.no_grad():
        _, logits = original(torch.tensor(features))
    expected = logits.softmax(-1).numpy()[0]
    scores = json.loads(out.splitlines()[0])["scores"]
    np.testing.assert_allclose(
        [scores[name] for name in ("dog", "rain")], expected, atol=1e-3
    )
    code, out, err = run(
        *(capsys, "evaluate", f"--run={folder}"),
        f"--data=folder:{tmp_path / 'data'}",
    )
    assert code == 0, err
    code, _, err = run(capsys, "export", f"--run={folder}")
    assert code == 2 and "no data set" in err and "--clips" in err
    refuses_and_obeys(capsys, folder, tmp_path / "data", file)


def refuses_and_obeys(capsys, folder, data, file):
    """A cascade of what was converted: each piece of advice, followed."""
    cascade = (
        *("evaluate", f"--run={folder}", "--cascade=token:2, full"),
        "--max-loss=99",
    )
    predict = ("predict", f"--run={folder}", "--cascade", file)
    code, _, err = run(capsys, *predict)
    assert code == 2 and "--data=DATA" in err
    code, _, err = run(capsys, *cascade)
    assert code == 2 and "Name one with --data" in err
    of = f"--data=folder:{data}"
    code, _, err = run(capsys, *cascade, of, "--held-out=all")
    assert code == 2 and err.endswith("the same command without --held-out.\n")
    code, out, err = run(capsys, *cascade, of)
    assert code == 0 and "Cascade token:2, full" in out, err
    code, out, err = run(capsys, *cascade, of, "--held-out=all")
    assert code == 0 and "on 6 clips" in out, err
    code, _, err = run(capsys, *predict)
    assert code == 0 and "1 windows ended" in err


def test_front_ends_by_name_and_from_a_file(tmp_path):
    for name in FRONTENDS:
        assert isinstance(named_frontend(name), Frontend)
    assert named_frontend("passt").num_frames(320000) == 1000  # 10 s
    assert named_frontend("hts_at_speech_commands").fft_length == 1024
    path = tmp_path / "mine.json"
    for text, sentence in (
        ('{"hop": 3}', "arguments of `Frontend`"),
        ("{", "is no JSON"),
        ('{"std": 0}', "`std` above 0"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=sentence):
            named_frontend(str(path))
    with pytest.raises(ValueError, match="Did you mean 'passt"):
        named_frontend("pasts")


def test_help_has_an_example_of_each_option(capsys):
    code, out, _ = run(capsys, "convert", "--help")
    assert code == 0
    text = out.partition("positional arguments")[2]
    for option in (
        *"preset source part frontend class_names positions".split(),
        *"num_frames num_mel_bins patch_size patch_stride resolution".split(),
        *"num_classes pooling input_kind trained_num_frames".split(),
        *"trained_num_mel_bins trained_patch_stride trained_num_heads".split(),
    ):
        # as an option, and once more with a value
        assert f"--{option.replace('_', '-')}=" in "".join(text.split()), option
