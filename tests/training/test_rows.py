"""Rows on disk: there as they come, and as they were when a run goes on."""

import csv
import errno
import json
import math
import struct

import pytest

from gdjax.training._rows import Rows, read_rows

ROWS = [
    {"step": 5, "loss": 0.1 + 0.2, "count": -3},
    {"step": 10, "loss": math.inf, "count": 4, "v": 2.0},
    {"step": 15, "loss": 1e-40, "count": 5, "v": -0.0},
]


def lines(directory, name="metrics.jsonl"):
    return (directory / name).read_text().splitlines()


def events(directory):
    """What TensorBoard would read: (step, {name: value}) of each event."""
    from tensorboardX.proto.event_pb2 import Event

    (file,) = (directory / "events").iterdir()
    data, found = file.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        values = {value.tag: value.simple_value for value in event.summary.value}
        found += [(event.step, values)] if values else []
        data = data[16 + length :]
    return found


def test_they_can_be_read_while_they_come(tmp_path):
    with Rows(tmp_path, ["v"]) as rows:
        assert rows.begin(0) == []
        for row in ROWS:
            rows.append(row)
        assert lines(tmp_path, "metrics.csv") == [
            "step,loss,count,v",
            "5,0.30000000000000004,-3,nan",
            "10,inf,4,2.0",
            "15,1e-40,5,-0.0",
        ]
        assert [json.loads(line) for line in lines(tmp_path)] == [
            {"step": 5, "loss": 0.1 + 0.2, "count": -3, "v": None},
            {"step": 10, "loss": None, "count": 4, "v": 2.0},
            {"step": 15, "loss": 1e-40, "count": 5, "v": -0.0},
        ]
    assert events(tmp_path) == [
        (5, {"loss": pytest.approx(0.3), "count": -3}),
        (10, {"loss": math.inf, "count": 4, "v": 2.0}),
        (15, {"loss": pytest.approx(0, abs=1e-39), "count": 5, "v": 0.0}),
    ]


@pytest.mark.parametrize("cut", [0, 1, 4])
def test_a_run_that_goes_on_has_the_rows_up_to_there(cut, tmp_path):
    with Rows(tmp_path, ["v"]) as rows:
        rows.begin(0)
        for row in ROWS:
            rows.append(row)
    whole = [lines(tmp_path, "metrics.csv"), lines(tmp_path)]
    table = tmp_path / "metrics.csv"
    table.write_text(table.read_text()[: -cut or None])  # killed inside a line
    (tmp_path / "metrics.jsonl").write_text("")  # or between the two files
    with Rows(tmp_path, ["v"]) as rows:
        kept = rows.begin(12)
        assert [row["step"] for row in kept] == [5, 10] and type(kept[0]["step"]) is int
        assert kept[0]["loss"] == 0.1 + 0.2 and math.isnan(kept[0]["v"])
        assert [lines(tmp_path, "metrics.csv"), lines(tmp_path)] == [
            whole[0][:3],
            whole[1][:2],
        ]
        rows.append(ROWS[2])
    assert [lines(tmp_path, "metrics.csv"), lines(tmp_path)] == whole
    assert [step for step, _ in events(tmp_path)] == [5, 10, 15]
    assert len(read_rows(tmp_path)) == 3


def test_without_rows_to_keep_it_begins_anew(tmp_path):
    for _ in range(2):
        with Rows(tmp_path, []) as rows:
            assert rows.begin(0) == []
            rows.append({"step": 3, "loss": 1.0})
        assert len(lines(tmp_path)) == 1 and len(events(tmp_path)) == 1


def test_a_column_that_is_new_is_said(tmp_path):
    with Rows(tmp_path, []) as rows:
        rows.begin(0)
        rows.append({"step": 3, "loss": 1.0})
        with pytest.raises(ValueError, match=f"{tmp_path} have no column `other`: "):
            rows.append({"step": 4, "other": 1.0})


@pytest.mark.parametrize("line", ["7,0.5", "7,0.5,x", "7,True,1"])
def test_a_table_that_someone_changed(line, tmp_path):
    (tmp_path / "metrics.csv").write_text(f"step,loss,v\n5,1.0,nan\n{line}\n")
    with pytest.raises(
        ValueError, match=f"metrics.csv, line 3, is no row of .*'{line}"
    ):
        read_rows(tmp_path)


def test_without_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with Rows(tmp_path, []) as rows:
        rows.begin(0)
        rows.append({"step": 3, "loss": 1.0})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "metrics.csv",
        "metrics.jsonl",
    ]
    with open(tmp_path / "metrics.csv") as file:
        assert list(csv.DictReader(file)) == [{"step": "3", "loss": "1.0"}]


def test_a_full_disk_is_said_with_the_path(tmp_path, monkeypatch):
    def full(row):
        raise OSError(errno.ENOSPC, "No space left on device")

    with Rows(tmp_path, []) as rows:
        rows.begin(0)
        path = tmp_path / "metrics.csv"
        monkeypatch.setattr(rows, "_sinks", [(path, full)])
        with pytest.raises(OSError, match=rf"\[Errno 28\] No space .*: '{path}'"):
            rows.append({"step": 1})
