"""The work directory: one config's, with files that are whole or not there."""

import json

import pytest

from gdjax.training._directory import WorkDirectory, replacing

CONFIG = {"seed": 0, "optimizer": {"name": "adam", "b1": 0.9}, "clip": None}
RESULTS = {"train": {"last": {"loss": 0.25, "accuracy": 0.5}}}


def test_it_is_finished_when_there_are_results(tmp_path):
    directory = WorkDirectory(tmp_path / "runs" / "job", CONFIG)
    assert directory.results() is None and not directory.path.exists()
    directory.start()
    assert directory.results() is None
    directory.finish(RESULTS)
    assert WorkDirectory(directory.path, CONFIG).results() == RESULTS


@pytest.mark.parametrize(
    "other, difference",
    [
        ({**CONFIG, "seed": 1}, "`config.seed` is 0 there and 1 here"),
        (
            {**CONFIG, "optimizer": {"name": "adam", "b1": 0.8}},
            "`config.optimizer.b1` is 0.9 there and 0.8 here",
        ),
        ({**CONFIG, "new": [1]}, r"`config.new` is missing there and \[1\] here"),
        (
            {"seed": 0, "clip": None},
            "`config.optimizer` is {.*} there and missing here",
        ),
        ({**CONFIG, "clip": {"name": "x"}}, "`config.clip` is None there and {'name'"),
    ],
)
def test_it_belongs_to_one_config(other, difference, tmp_path):
    WorkDirectory(tmp_path, CONFIG).start()
    with pytest.raises(ValueError, match=difference):
        WorkDirectory(tmp_path, other).results()


def test_a_file_is_whole_or_the_old_one(tmp_path):
    path = tmp_path / "numbers.json"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half")
        assert temporary.suffix == ".json" and temporary.parent == tmp_path
        raise KeyError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_rows_can_be_read_while_they_come(tmp_path):
    directory = WorkDirectory(tmp_path, CONFIG)
    with directory.rows(["v"]) as append:
        append({"step": 5, "loss": 0.5})
        append({"step": 10, "loss": float("inf"), "v": 2.0})
        table = (tmp_path / "metrics.csv").read_text().splitlines()
        lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert table == ["step,loss,v", "5,0.5,nan", "10,inf,2.0"]
    assert [json.loads(line) for line in lines] == [
        {"step": 5, "loss": 0.5, "v": None},
        {"step": 10, "loss": None, "v": 2.0},
    ]
    with directory.rows([]):  # a run that starts anew begins with none
        assert (tmp_path / "metrics.csv").read_text() == ""
