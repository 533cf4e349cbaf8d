"""The work directory: one config's, one process's, with files that are whole."""

import json
import os
import subprocess
import sys

import pytest
from ml_collections import ConfigDict, config_dict

from gdjax.training._directory import WorkDirectory
from gdjax.training._files import replacing

CONFIG = {
    "seed": 0,
    "num_steps": 100,
    "log_every": 5,
    "optimizer": {"name": "adam", "b1": 0.9},
    "clip": None,
}
RESULTS = {"train": {"last": {"loss": 0.25, "accuracy": 0.5}}}
FROM = {
    "started": "now",
    "command": "train",
    "versions": {"jax": "1.0"},
    "device": {"count": 1},
    "data": {"name": "digits", "digest": "abc"},
}


def finished(path, config=CONFIG):
    directory = WorkDirectory(path, config)
    with directory.at_work(FROM) as changes:
        assert changes == []
        (directory.checkpoints / "100").mkdir(parents=True)
        directory.finish(RESULTS)
    return directory


def test_it_is_finished_when_there_are_results(tmp_path):
    directory = WorkDirectory(tmp_path / "runs" / "job", CONFIG)
    assert directory.results() is None and not directory.path.exists()
    with directory.at_work(FROM):
        assert directory.results() is None
        assert json.loads((directory.path / "config.json").read_text()) == {
            **CONFIG,
            "provenance": {**FROM, "changes": []},
        }
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
            {**CONFIG, "optimizer": {"name": "adam"}},
            "`config.optimizer.b1` is 0.9 there and missing here",
        ),
        (
            {**CONFIG, "clip": {"name": "x"}, "num_steps": 300},
            "`config.clip` is null there and {.*} here; choose another `workdir`",
        ),
    ],
)
def test_it_belongs_to_one_config(other, difference, tmp_path):
    finished(tmp_path)
    with pytest.raises(ValueError, match=difference):
        WorkDirectory(tmp_path, other).results()


def test_what_may_change_is_recorded(tmp_path):
    finished(tmp_path)
    more = {**CONFIG, "num_steps": 200, "log_every": 1, "time_limit": 5.0}
    more |= {"parallel": {"devices": 2}, "checkpoint": {"keep": 3}}
    directory = WorkDirectory(tmp_path, more)
    assert directory.results() is None
    here = {**FROM, "started": "later", "versions": {"jax": "2.0"}}
    changed = [
        "config.num_steps: 100 -> 200",
        "config.log_every: 5 -> 1",
        "config.time_limit: missing -> 5.0",
        'config.parallel: missing -> {"devices": 2}',
        'config.checkpoint: missing -> {"keep": 3}',
        'versions.jax: "1.0" -> "2.0"',
    ]
    with directory.at_work(here) as changes:
        assert changes == changed
        # The old results are not those of this config.
        assert WorkDirectory(tmp_path, more).results() is None
    with directory.at_work(here) as changes:
        assert changes == []
        directory.finish(RESULTS)
    there = json.loads((tmp_path / "config.json").read_text())
    record = there.pop("provenance")
    assert there == more and directory.results() == RESULTS
    assert record["started"] == "now" and record["versions"] == {"jax": "2.0"}
    assert record["changes"] == [
        {"started": "later", "command": "train", "changed": changed}
    ]


def test_what_follows_from_the_number_of_steps_may_change_with_it(tmp_path):
    def config(num_steps, other=1):
        steps = config_dict.FieldReference(num_steps)
        return ConfigDict(
            {"num_steps": steps, "warmup": steps // 10, "rate": {"decay": steps * 2}}
            | {"other": other}
        )

    finished(tmp_path, config(100))
    mine = config(400)
    mine.lock()
    directory = WorkDirectory(tmp_path, mine)
    with directory.at_work(FROM) as changes:
        assert changes == [
            "config.num_steps: 100 -> 400",
            "config.rate.decay: 200 -> 800",
            "config.warmup: 10 -> 40",
        ] or sorted(changes) == [
            "config.num_steps: 100 -> 400",
            "config.rate.decay: 200 -> 800",
            "config.warmup: 10 -> 40",
        ]
    assert mine.num_steps == 400 and mine.is_locked
    with pytest.raises(ValueError, match="`config.other` is 1 there and 2 here"):
        WorkDirectory(tmp_path, config(800, other=2)).results()
    # Without the reference it is another config.
    plain = {**config(400).to_dict(), "num_steps": 500, "warmup": 50}
    with pytest.raises(ValueError, match="`config.warmup` is 40 there and 50 here"):
        WorkDirectory(tmp_path, plain).results()


def test_a_run_is_not_gone_back_behind_and_nothing_of_it_lost(tmp_path):
    directory = finished(tmp_path)
    with pytest.raises(ValueError, match="`config.num_steps` must be >= 100, .* got 9"):
        with WorkDirectory(tmp_path, {**CONFIG, "num_steps": 9}).at_work(FROM):
            pass
    assert directory.results() == RESULTS
    # Without its checkpoints it cannot go on; but it is still complete.
    (directory.checkpoints / "100").rmdir()
    with pytest.raises(ValueError, match="checkpoints were deleted: .* to 200 steps"):
        with WorkDirectory(tmp_path, {**CONFIG, "num_steps": 200}).at_work(FROM):
            pass
    assert WorkDirectory(tmp_path, {**CONFIG, "log_every": 1}).results() == RESULTS


def test_checkpoints_of_nobody_knows_what_are_refused(tmp_path):
    (tmp_path / "checkpoints" / "7").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds checkpoints and no config.json"):
        WorkDirectory(tmp_path, CONFIG).results()


@pytest.mark.parametrize("record", [{"commit": "x"}, None, "x"])
def test_a_record_of_another_form_is_begun_anew(record, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "provenance": record}))
    with WorkDirectory(tmp_path, CONFIG).at_work(FROM) as changes:
        assert changes == []
    there = json.loads((tmp_path / "config.json").read_text())
    assert there["provenance"] == {**FROM, "changes": []}


def test_other_data_are_refused(tmp_path):
    finished(tmp_path)
    other = {**FROM, "data": {"name": "digits", "digest": "abd"}}
    with pytest.raises(ValueError, match="other data: .*'abc'.* there, .*'abd'.* here"):
        with WorkDirectory(tmp_path, CONFIG).at_work(other):
            pass


HOLD = """
import sys
from gdjax.training._directory import WorkDirectory
with WorkDirectory(sys.argv[1], {}).at_work(eval(sys.argv[2])):
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_and_the_lock_dies_with_it(tmp_path):
    directory = WorkDirectory(tmp_path, {})
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path, repr(FROM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == "mine\n"
        said = rf"{tmp_path} is in use by process {holder.pid} on .*: wait"
        with pytest.raises(ValueError, match=said), directory.at_work(FROM):
            pass
        holder.kill()
    with directory.at_work(FROM):
        pass


def test_of_a_group_of_processes_the_first_holds_the_lock(tmp_path, monkeypatch):
    with WorkDirectory(tmp_path, {}).at_work(FROM):
        with pytest.raises(ValueError, match="is in use by process"):
            with WorkDirectory(tmp_path, {}).at_work(FROM):
                pass
        monkeypatch.setattr("jax.process_index", lambda: 1)
        with WorkDirectory(tmp_path, {}).at_work(FROM) as changes:
            assert changes == []


def test_what_is_no_work_directory(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, file / "below"):
        with pytest.raises(NotADirectoryError, match=str(file)):
            directory = WorkDirectory(path, CONFIG)
            directory.results()
            with directory.at_work(FROM):
                pass
    (tmp_path / "config.json").write_text('{"num_steps": 10')
    with pytest.raises(ValueError, match="config.json is no JSON file: .*line 1"):
        WorkDirectory(tmp_path, CONFIG).results()
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"must hold a JSON object, got \[1\]"):
        WorkDirectory(tmp_path, CONFIG).results()


PERMISSION = """
import os, sys
from gdjax.training._directory import WorkDirectory
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for path in sys.argv[1:]:
    try:
        directory = WorkDirectory(path, {})
        directory.results()
        with directory.at_work({"data": 0, "versions": {}, "device": {}}):
            pass
    except PermissionError as error:
        print(error)
"""


def test_no_permission(tmp_path):
    """Neither to make it, nor to look into it, nor to write into it."""
    for folder in tmp_path.parents:
        if "pytest-of-" in str(folder):
            folder.chmod(0o755)
    tmp_path.chmod(0o755)
    for name, mode in (("closed", 0o700), ("read-only", 0o555)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode if os.getuid() == 0 else mode & 0o555)
    paths = [tmp_path / "new", tmp_path / "closed", tmp_path / "read-only"]
    if os.getuid() != 0:
        tmp_path.chmod(0o555)
        (tmp_path / "closed").chmod(0)
    done = subprocess.run(
        [sys.executable, "-c", PERMISSION, *paths], capture_output=True, text=True
    )
    assert done.stderr == "" and done.stdout.splitlines() == [
        f"[Errno 13] Permission denied: '{tmp_path / 'new'}'",
        f"[Errno 13] Permission denied: '{tmp_path / 'closed'}'",
        f"[Errno 13] Permission denied: '{tmp_path / 'read-only' / '.lock'}'",
    ]
    if os.getuid() != 0:
        for path in (tmp_path, *paths[1:]):
            path.chmod(0o755)


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
    with pytest.raises(OSError, match=f"'{path}'"), replacing(path) as temporary:
        raise OSError(28, "No space left on device")
