"""The command `tools/study.py`, without any training."""

import pytest
from studies import plan_names
from study import parse

from keras_c2f import cli

pytestmark = pytest.mark.once


def study(capsys, *words):
    try:
        code = cli.run(parse(["study.py", *map(str, words)]))
    except SystemExit as error:  # of the parser
        code = error.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_costs_of_every_method(capsys):
    code, out, _ = study(capsys, "tuning", "--costs", "--data=digits")
    assert code == 0
    assert "| digits | baseline, 1e-3 | `full@8` |" in out
    assert "| esc10 |" not in out


def test_nothing_is_written_without_runs(capsys, tmp_path):
    code, out, _ = study(capsys, "tuning", "--page_only", "--run", tmp_path)
    assert code == 0
    assert "No run of this study is finished." in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words, said",
    [
        (["tunin"], "Did you mean 'tuning'"),
        (["tuning", "--data=esc50"], "has no data set 'esc50'"),
        (["tuning", "--path=esc50"], "--path DATA=PATH"),
        (["tuning", "--data=digits"], "--path digits=PATH"),
        (
            ["tuning", "--path=digits=x", "--path=esc50=x", "--workers=0"],
            "at least 1",
        ),
    ],
)
def test_refuses(capsys, tmp_path, words, said):
    code, _, err = study(capsys, *words, "--run", tmp_path)
    assert code == 2
    assert said in err


def test_help_names_the_plans(capsys):
    with pytest.raises(SystemExit):
        parse(["study.py", "--help"])
    out = "".join(capsys.readouterr().out.split())  # lines break at hyphens
    for name in plan_names():
        assert name in out
