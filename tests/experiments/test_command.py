"""What command lines mean, and the sentence and exit status of each mistake in one."""

import json
import re
import signal
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import pytest
from absl import flags

import gdjax as gd
from gdjax.training._config import plain

ROOT = Path(__file__).parents[2]
SIGNALS = (signal.SIGINT, signal.SIGTERM)
CONFIG = """
from ml_collections import ConfigDict, config_dict

def get_config(size="small"):
    num_steps = config_dict.FieldReference(100)
    rate = config_dict.FieldReference(0.5)
    return ConfigDict({
        "num_steps": num_steps,
        "size": size,
        "model": {
            "name": "mlp",
            "features": (8, 10),
            "normalization": config_dict.placeholder(str),
        },
        "optimizer": {"name": "sgd", "learning_rate": rate, "nesterov": False},
        "schedule": {"peak_value": rate, "warmup_steps": num_steps // 10},
        "clip": {"name": "clip_by_global_norm", "max_norm": 1.0},
        "average": None,
        "links": [{"name": "a", "x": 1}, {"name": "b", "x": 2}],
    })
"""
PLAIN = {
    "num_steps": 100,
    "size": "small",
    "model": {"name": "mlp", "features": [8, 10], "normalization": None},
    "optimizer": {"name": "sgd", "learning_rate": 0.5, "nesterov": False},
    "schedule": {"peak_value": 0.5, "warmup_steps": 10},
    "clip": {"name": "clip_by_global_norm", "max_norm": 1.0},
    "average": None,
    "links": [{"name": "a", "x": 1}, {"name": "b", "x": 2}],
}


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The module, in a directory with job.py and runs/a/config.json."""
    monkeypatch.syspath_prepend(ROOT / "experiments")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_TRACEBACK_FILTERING", "off")  # as `main` does, for good
    Path("job.py").write_text(CONFIG)
    Path("runs/a").mkdir(parents=True)
    own = {**PLAIN, "size": "own", "provenance": {"command": "train.py"}}
    Path("runs/a/config.json").write_text(json.dumps(own))
    before = {number: signal.getsignal(number) for number in SIGNALS}
    import _command

    yield _command
    for number, handler in before.items():
        signal.signal(number, handler)


def start(command, *arguments, train=None, stopped="num_steps"):
    """The exit status, and what training was asked for."""
    jobs = []

    def record(job):
        data = plain(job.config)
        assert json.loads(json.dumps(data)) == data
        jobs.append(job._replace(config=data))
        return train() if train else SimpleNamespace(stopped=stopped)

    flags.FLAGS.unparse_flags()
    argv = ["train.py", "--nocompilation_cache", *arguments]
    status = command.main(record, "Trains.", argv)
    return status, jobs[0] if jobs else None


def config_of(command, *arguments):
    status, job = start(command, "--config=job.py", *arguments)
    assert status == 0
    return job.config


def test_where_a_run_goes(command, monkeypatch):
    for arguments, workdir, data_dir, size in (
        (["--config=job.py"], "runs/job", None, "small"),
        (["--config=job.py:large"], "runs/job", None, "large"),
        (["--config", "job.py", "--data_dir=d"], "runs/job", "d", "small"),
        (["--config=runs/a/config.json"], "runs/a", None, "own"),
        (["--config=runs/a/config.json", "--workdir=w"], "w", None, "own"),
    ):
        status, job = start(command, *arguments)
        assert status == 0
        assert job == (
            {**PLAIN, "size": size},
            Path(workdir),
            data_dir and Path(data_dir),
        )
    monkeypatch.setenv("HOME", str(Path.cwd()))
    _, job = start(command, "--config=~/job.py", "--workdir=~/w", "--data_dir=~/d")
    assert job[1:] == (Path.home() / "w", Path.home() / "d")


def test_json_that_no_run_wrote_has_a_directory_of_its_own(command):
    Path("mine.json").write_text("{}")
    Path("config.json").write_text("{}")
    Path("copy.json").write_bytes(Path("runs/a/config.json").read_bytes())
    for name in ("mine", "config", "copy"):
        _, job = start(command, f"--config={name}.json")
        assert job.workdir == Path("runs", name)
    assert job.config == {**PLAIN, "size": "own"}


@pytest.mark.parametrize(
    "change, key, value",
    [
        ("num_steps=1e3", "num_steps", 1000),
        ("optimizer.learning_rate=1", "optimizer.learning_rate", 1.0),
        ("optimizer.learning_rate=None", "optimizer.learning_rate", None),
        ("optimizer.nesterov=true", "optimizer.nesterov", True),
        ("optimizer.nesterov=False", "optimizer.nesterov", False),
        ("optimizer.eps=1e-6", "optimizer.eps", 1e-6),
        ("optimizer.eps=2.5e1", "optimizer.eps", 25),
        ("optimizer.eps=1.0", "optimizer.eps", 1.0),
        ("model.normalization=layer", "model.normalization", "layer"),
        ("model.features=(16, 16, 10)", "model.features", [16, 16, 10]),
        ("model.features=[16,16,10]", "model.features", [16, 16, 10]),
        ("model.features=None", "model.features", None),
        ("model.features.0=512", "model.features", [512, 10]),
        ("links.1.x=None", "links", [{"name": "a", "x": 1}, {"name": "b", "x": None}]),
        ("clip=None", "clip", None),
        ("clip=null", "clip", None),
        ("clip.max_norm=2", "clip", {"name": "clip_by_global_norm", "max_norm": 2}),
        ("average.name=swa", "average", {"name": "swa"}),
        ("a.b.c=0", "a", {"b": {"c": 0}}),
        (
            'optimizer={"name": "sgd", "x": null}',
            "optimizer",
            {"name": "sgd", "x": None},
        ),
        (
            "optimizer={'name': 'sgd', 'x': None}",
            "optimizer",
            {"name": "sgd", "x": None},
        ),
        ('optimizer={"groups": {"a.b$": {}}}', "optimizer", {"groups": {"a.b$": {}}}),
        ("optimizer=[]", "optimizer", []),
        ("size=3", "size", 3),
        ('size="3"', "size", "3"),
        ("size=a=b c", "size", "a=b c"),
        ("size=--x", "size", "--x"),
        ("size=(3)", "size", 3),
    ],
)
def test_any_entry_can_be_changed(command, change, key, value):
    changed = config_of(command, f"--config.{change}")
    found = changed
    for name in key.split("."):
        found = found[int(name) if isinstance(found, list) else name]
    assert (found, type(found)) == (value, type(value))
    # Nothing else has changed, but what follows it.
    follows = {"num_steps": "schedule.warmup_steps"}.get(key, "schedule.peak_value")
    old, new = flat(PLAIN), flat(changed)
    for name in old.keys() | new.keys():
        if not f"{name}.".startswith(f"{key}.") and name != follows:
            assert old.get(name) == new.get(name), name


def flat(config, path=""):
    if not isinstance(config, dict):
        return {path: config}
    return {
        inner: value
        for key, entry in config.items()
        for inner, value in flat(entry, f"{path}.{key}".lstrip(".")).items()
    }


def test_what_is_computed_follows(command):
    config = config_of(
        command, "--config.num_steps=500", "--config.optimizer.learning_rate=2"
    )
    assert config["schedule"] == {"peak_value": 2.0, "warmup_steps": 50}
    config = config_of(command, "--config.schedule.warmup_steps=7")
    assert config["num_steps"] == 100 and config["schedule"]["warmup_steps"] == 7
    # A replaced optimizer has left the rate of the schedule behind.
    config = config_of(command, "--config.optimizer={}", "--config.optimizer.b1=0")
    assert config["optimizer"] == {"b1": 0} and config["schedule"]["peak_value"] == 0.5
    # An empty reference, from which nothing can be computed.
    config = config_of(command, "--config.num_steps=null")
    assert config["num_steps"] is config["schedule"]["warmup_steps"] is None


def test_ways_to_write_a_change(command):
    assert config_of(command, "-config.num_steps", "-5")["num_steps"] == -5
    many = ["--config.num_steps=1", "--config.num_steps=2"]
    assert config_of(command, *many)["num_steps"] == 2
    status, job = start(command, "--config.num_steps=3", "--config=job.py")
    assert status == 0 and job.config["num_steps"] == 3
    Path("flags.txt").write_text("--config=job.py\n--config.num_steps=4\n")
    assert start(command, "--flagfile=flags.txt")[1].config["num_steps"] == 4


def test_a_config_file_may_use_dicts_and_required_entries(command):
    Path("job.py").write_text(
        "from ml_collections import FieldReference, ConfigDict, FrozenConfigDict\n"
        "from ml_collections.config_dict import required_placeholder\n"
        "def get_config():\n"
        "    inner = FieldReference(ConfigDict({'x': 1, 'y': (1, 2)}))\n"
        "    return {'a': inner, 'n': required_placeholder(dict),\n"
        "            'f': FrozenConfigDict({'z': {'k': (2, 3)}})}\n"
    )
    assert start(command, "--config=job.py") == (2, None)
    config = config_of(
        command, "--config.n.b=1", "--config.a.x=2", "--config.f.z.k.0=1"
    )
    assert config == {
        "a": {"x": 2, "y": [1, 2]},
        "n": {"b": 1},
        "f": {"z": {"k": [1, 3]}},
    }


FILES = {
    "bad_syntax.py": "def get_config():\n    return {\n",
    "empty.py": "",
    "raises.py": "def get_config():\n    x = {}\n    return x['lr']\n",
    "imports.py": "import no_such_module\n",
    "none.py": "def get_config():\n    pass\n",
    "argument.py": "def get_config(size):\n    return {}\n",
    "required.py": "from ml_collections.config_dict import required_placeholder\n"
    "def get_config():\n    return {'a': {'n': required_placeholder(int)}}\n",
    "function.py": "def get_config():\n    return {'a': [print]}\n",
    "divides.py": "from ml_collections import FieldReference\n"
    "def get_config():\n    n = FieldReference(5)\n    return {'n': n, 'm': 1 // n}\n",
    "cut.json": '{\n  "num_steps": 100,\n  "model": {"na',
    "list.json": "[1, 2]",
    "twice.json": '{"a": 1, "b": {"c": 1, "c": 2}}',
    "bytes.json": "\udcff",
    "notes.txt": "",
}
JOB = "--config=job.py"
MISTAKES = [
    ([], "--config=FILE is missing; --help shows examples"),
    (["--config"], "Missing value for flag --config"),
    (["--config="], "--config must be a path, got ''"),
    (["--config=jop.py"], "--config: there is no file jop.py; the nearest is job.py"),
    (["--config=no/job.py"], "--config: there is no file no/job.py"),
    (["--config=runs"], "--config must be a .py or .json file, got the folder runs"),
    (
        ["--config=runs/a"],
        "--config must be a .py or .json file, got the folder runs/a; did you mean "
        "runs/a/config.json?",
    ),
    (["--config=notes.txt"], "--config must be a .py or .json file, got notes.txt"),
    (["--config=bad_syntax.py"], "bad_syntax.py, line 2: '{' was never closed"),
    (["--config=empty.py"], "empty.py: there is no function get_config"),
    (["--config=raises.py"], "raises.py, line 3: KeyError: 'lr'"),
    (
        ["--config=imports.py"],
        "imports.py, line 1: ModuleNotFoundError: No module named 'no_such_module'",
    ),
    (["--config=none.py"], "none.py: get_config must return a dict, got None"),
    (
        ["--config=argument.py"],
        "argument.py: get_config: missing a required argument: 'size'; "
        "--config=argument.py:ARGUMENT gives it one",
    ),
    (
        ["--config=none.py:3"],
        "none.py: get_config: too many positional arguments",
    ),
    (["--config=required.py"], "`config.a.n` must be given: --config.a.n=VALUE"),
    (
        ["--config=function.py"],
        "`config.a.0` must be a number, text, true, false, None, a list or a dict, "
        "got <built-in function print>",
    ),
    (
        ["--config=divides.py", "--config.n=0"],
        "`config.m` cannot be computed: integer division or modulo by zero",
    ),
    (["--config=cut.json"], "cut.json, line 3: Unterminated string starting at"),
    (["--config=list.json"], "list.json must hold a JSON object, got [1, 2]"),
    (["--config=twice.json"], "twice.json: the key 'c' occurs twice"),
    (
        ["--config=bytes.json"],
        "bytes.json is no text: 'utf-8' codec can't decode byte 0xff in position 0: "
        "invalid start byte",
    ),
    ([JOB, "--wrkdir=a"], "there is no flag --wrkdir; the nearest is --workdir"),
    (
        [JOB, "--num_steps=3"],
        "there is no flag --num_steps; an entry of the config is changed by "
        "--config.num_steps=VALUE",
    ),
    (
        [JOB, "--data.name=x"],
        "there is no flag --data.name; an entry of the config is changed by "
        "--config.data.name=VALUE",
    ),
    (
        [JOB, "--confg.num_steps=1"],
        "there is no flag --confg.num_steps; an entry of the config is changed by "
        "--config.num_steps=VALUE",
    ),
    (
        [JOB, "--noconfig.x"],
        "there is no flag --noconfig.x; an entry of the config is changed by "
        "--config.x=VALUE",
    ),
    ([JOB, "--workdir="], "--workdir must be a path, got ''"),
    ([JOB, "--data_dir="], "--data_dir must be a path, got ''"),
    ([JOB, "--traceback=maybe"], "--traceback must be true or false, got 'maybe'"),
    ([JOB, "--notraceback=1"], "--notraceback=1 does not take an argument"),
    (["job.py"], "'job.py' is no flag; did you mean --config=job.py?"),
    ([JOB, "x", "--workdir=w"], "'x' is no flag"),
    ([JOB, "--config.seed"], "--config.seed must have a value: --config.seed=VALUE"),
    ([JOB, "--config.seed="], "--config.seed must have a value: --config.seed=VALUE"),
    (
        [JOB, "--config.seed", "--workdir=w"],
        "--config.seed must have a value: --config.seed=VALUE",
    ),
    ([JOB, "--config.=1"], "`config.`: there is no name behind the last dot"),
    ([JOB, "--config.a..b=1"], "`config.a.`: there is no name behind the last dot"),
    (
        [JOB, "--config.size.x.y=1"],
        "`config.size.x.y`: `config.size` has no entries, it is 'small'",
    ),
    (
        [JOB, "--config.model.features.2=1"],
        "`config.model.features.2` must be an entry of a list, 0 to 1, got '2'",
    ),
    (
        [JOB, "--config.links.first.x=1"],
        "`config.links.first` must be an entry of a list, 0 to 1, got 'first'",
    ),
    ([JOB, "--config.num_steps=ten"], "`config.num_steps` must be a number, got 'ten'"),
    ([JOB, "--config.num_steps=NaN"], "`config.num_steps` must be a number, got nan"),
    (
        [JOB, "--config.optimizer.learning_rate=true"],
        "`config.optimizer.learning_rate` must be a number, got True",
    ),
    (
        [JOB, "--config.optimizer={'name': sgd}"],
        "`config.optimizer` must be JSON or a Python literal, got \"{'name': sgd}\"",
    ),
    (
        [JOB, "--config.clip={1}"],
        "`config.clip` must be JSON or a Python literal, got '{1}'",
    ),
    (
        [JOB, "--config.clip.max_norm=2", "--config.clip=None"],
        "--config.clip would undo --config.clip.max_norm: give it first",
    ),
]


def test_a_mistake_is_one_line_and_nothing_is_started(command, capsys):
    for name, text in FILES.items():
        Path(name).write_bytes(text.encode(errors="surrogateescape"))
    before = sorted(Path().rglob("*"))
    for arguments, sentence in MISTAKES:
        assert start(command, *arguments) == (2, None), arguments
        assert capsys.readouterr() == ("", f"error: {sentence}\n")
    assert sorted(Path().rglob("*")) == before


def test_the_traceback_is_there_for_those_who_ask(command, capsys):
    assert start(command, JOB, "--traceback", "--config.num_steps=x") == (2, None)
    error = capsys.readouterr().err
    assert error.startswith("Traceback") and "_config_file.py" in error
    assert error.endswith("\nerror: `config.num_steps` must be a number, got 'x'\n")


def test_the_exit_status_says_why_a_run_stopped(command, capsys):
    for stopped, status in (
        ("num_steps", 0),
        ("complete", 0),
        ("converged at step 30", 0),
        ("plateau at step 30", 0),
        ("time_limit", 75),
        ("SIGINT", 130),
        ("SIGTERM", 143),
    ):
        assert start(command, JOB, stopped=stopped)[0] == status
        assert capsys.readouterr() == ("", "")
    assert start(command, JOB, stopped="non-finite loss at step 3")[0] == 1
    assert capsys.readouterr().err == "error: non-finite loss at step 3\n"


def raising(error):
    def train():
        raise error

    return train


def test_errors_that_training_may_raise(command, capsys):
    for error, status, sentence in (
        (FileExistsError(17, "File exists", "runs/x"), 2, "runs/x: File exists"),
        (NotADirectoryError(20, "Not a directory", "a/b"), 2, "a/b: Not a directory"),
        (PermissionError(13, "Permission denied", "/x"), 2, "/x: Permission denied"),
        (OSError(28, "No space left on device", "x/y"), 1, "x/y: No space left on dev"),
        (OSError("no checkpoint can be read"), 1, "no checkpoint can be read"),
        (BrokenPipeError(32, "Broken pipe"), 1, "Broken pipe"),
        (FloatingPointError("`nu` is\n  infinite"), 1, "`nu` is infinite"),
        (ImportError("this needs `sklearn`: pip"), 1, "this needs `sklearn`: pip"),
    ):
        assert start(command, JOB, train=raising(error))[0] == status
        said = capsys.readouterr().err
        assert said.startswith(f"error: {sentence}") and said.count("\n") == 1


def test_what_gdjax_refuses_is_a_mistake_and_all_else_a_bug(command, capsys):
    spec = {"name": "sgd", "learning_rate": -1.0}
    refused = lambda: gd.config.optimizer_from_spec(spec, path="config.optimizer")
    assert start(command, JOB, train=refused)[0] == 2
    said = capsys.readouterr().err
    assert re.match(r"error: `config.optimizer.*learning_rate.* got -1", said)
    assert said.count("\n") == 1

    for bug in (
        lambda: jnp.ones(3) + jnp.ones(4),
        lambda: jnp.ones(3).reshape(4),
        raising(ValueError("not by gdjax")),
        raising(ModuleNotFoundError("No module named 'x'")),
    ):
        with pytest.raises((TypeError, ValueError, ModuleNotFoundError)):
            start(command, JOB, train=bug)
    assert capsys.readouterr() == ("", "")
