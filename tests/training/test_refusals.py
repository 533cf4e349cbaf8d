"""Configs with a mistake: the sentence that each gets, and nothing that is written."""

import functools

import pytest

import gdjax as gd
from gdjax.training import run

SGD = {"name": "sgd", "learning_rate": 0.1}
RATE = {
    "name": "warmup_cosine_decay_schedule",
    "init_value": 0.0,
    "peak_value": 0.1,
    "warmup_steps": 5,
    "decay_steps": 20,
}
FALLING = {
    "name": "linear_schedule",
    "init_value": 1.0,
    "end_value": -1.0,
    "transition_steps": 16,
}
CONFIG = {
    "num_steps": 20,
    "data": {"name": "digits", "batch_size": 32},
    "model": {"name": "mlp", "features": [10]},
    "optimizer": SGD,
}
PARTS = 'a dict with a "name", a list of such dicts or groups'
NAN, INF = float("nan"), float("inf")


def lacks(key, **entries):
    return {name: x for name, x in {**CONFIG, **entries}.items() if name != key}


def having(**entries):
    return {**CONFIG, **entries}


def data(**entries):
    return having(data={**CONFIG["data"], **entries})


def model(**entries):
    return having(model={**CONFIG["model"], **entries})


def sgd(**entries):
    return having(optimizer={**SGD, **entries})


def groups(*pairs):
    return having(optimizer={"groups": [list(pair) for pair in pairs]})


REFUSED = [
    # The keys of a config.
    (lacks("num_steps"), "`config.num_steps` is missing; it must be an int."),
    (lacks("optimizer"), "`config.optimizer` is missing."),
    (lacks("data"), "`config.data` is missing; it must be a dict."),
    (
        having(num_step=30),
        "`config.num_step` is unknown; the nearest is 'num_steps'.",
    ),
    (having(num_steps=0), "`config.num_steps` must lie in [1, 2**31 - 1], got 0."),
    (having(num_steps="many"), "`config.num_steps` must be an int, got 'many'."),
    (having(num_steps=1.5), "`config.num_steps` must be an int, got 1.5."),
    (having(num_steps=True), "`config.num_steps` must be an int, got True."),
    (having(num_steps=None), "`config.num_steps` must be an int, got None."),
    (having(num_steps=NAN), "`config.num_steps` must be finite, got nan."),
    (having(seed=-1), "`config.seed` must lie in [0, 2**31 - 1], got -1."),
    (having(steps_per_call=[5]), "`config.steps_per_call` must be an int, got [5]."),
    (having(log_every=0), "`config.log_every` must lie in [1, 2**31 - 1], got 0."),
    (having(eval_every="x"), "`config.eval_every` must be an int or None, got 'x'."),
    (having(time_limit=0), "`config.time_limit` must be finite and > 0, got 0."),
    (
        having(time_limit="1h"),
        "`config.time_limit` must be a number or None, got '1h'.",
    ),
    (
        having(dtype="float16"),
        "`config.dtype` must be one of float32, float64, got 'float16'; the nearest is "
        "'float64'.",
    ),
    (
        having(criterion="hinge"),
        '`config.criterion` must be "cross_entropy", "mse" or a function (outputs, '
        "targets) -> [batch], got 'hinge'.",
    ),
    (having(criterion=1), "`config.criterion` must be a string, got 1."),
    (
        having(criterion="mse"),
        "`config.criterion`: `targets` must have the shape of the outputs, (1, 10), "
        "got (1,).",
    ),
    (
        having(metric="accuracy"),
        "`config.metric` must be one of validation_accuracy, validation_loss, got "
        "'accuracy'; the nearest is 'validation_accuracy'.",
    ),
    (["digits"], "`config` must be a dict, got ['digits']."),
    ({**CONFIG, 3: 4}, "`config` must have strings as keys, got 3."),
    (having(model={1, 2}), "`config.model` must be JSON data, got a set."),
    # Data.
    (having(data="digits"), "`config.data` must be a dict, got 'digits'."),
    (
        having(data={"name": "digits"}),
        "`config.data.batch_size` is missing; it must be an int or 'full'.",
    ),
    (
        data(name="digit"),
        "`config.data.name` must be one of digits, breast_cancer, wine, iris, "
        "diabetes, stdlib, got 'digit'; the nearest is 'digits'.",
    ),
    (
        data(batch_size=2.5),
        "`config.data.batch_size` must be an int or 'full', got 2.5.",
    ),
    (
        data(batch_size="ful"),
        "`config.data.batch_size` must be an int or 'full', got 'ful'; the nearest is "
        "'full'.",
    ),
    (
        data(batch_size=5000),
        "`config.data.batch_size` must be 'full' or lie in [1, 1259], the number of "
        "examples, got 5000.",
    ),
    (
        data(split_seed=-1),
        "`config.data.split_seed` must lie in [0, 2**31 - 1], got -1.",
    ),
    (
        data(remainder="dorp"),
        "`config.data.remainder` must be one of drop, keep, got 'dorp'; the nearest is "
        "'drop'.",
    ),
    # Model.
    (having(model=3), "`config.model` must be a dict, got 3."),
    (having(model={"features": [10]}), "`config.model.name` is missing."),
    (
        model(name="mpl"),
        "`config.model.name`: 'mpl' is unknown; the nearest is 'mlp'.",
    ),
    (
        having(model={"name": "mlp"}),
        "`config.model.features` is missing; it must be a list.",
    ),
    (
        model(features=[8, "ten"]),
        "`config.model.features.1` must be an int, got 'ten'.",
    ),
    (
        model(features=[8, 9]),
        "`config.model` must have 10 outputs, one for each class of digits, got 9.",
    ),
    (
        having(data={"name": "diabetes", "batch_size": 8}),
        "`config.criterion` must be 'mse', as the targets of diabetes are no classes, "
        "got 'cross_entropy'.",
    ),
    (model(dropout=1.0), "`config.model.dropout` must lie in [0, 1), got 1.0."),
    (
        model(droput=0.1),
        "`config.model.droput` is no argument of `mlp`; the nearest is 'dropout'.",
    ),
    (
        having(model={"name": "initializer", "name_": 1}),
        "`config.model.name_` is no argument of `initializer`; the nearest is 'name'.",
    ),
    (
        model(param_dtype="float33"),
        "`config.model.param_dtype` must be a floating dtype or None, got 'float33'.",
    ),
    # A named optimizer.
    (having(optimizer=None), f"`config.optimizer` must be {PARTS}, got None."),
    (having(optimizer="sgd"), f"`config.optimizer` must be {PARTS}, got 'sgd'."),
    (having(optimizer=[]), f"`config.optimizer` must be {PARTS}, got []."),
    (
        having(optimizer={"nmae": "sgd"}),
        "`config.optimizer.name` is missing, only 'nmae' given.",
    ),
    (
        sgd(name="sdg"),
        "`config.optimizer.name`: 'sdg' is unknown; the nearest is 'sgd'.",
    ),
    (sgd(name=None), "`config.optimizer.name` must be a string, got None."),
    (
        sgd(name="huber_loss"),
        "`config.optimizer.learning_rate` is no argument of `huber_loss`; the nearest "
        "is 'targets'.",
    ),
    (
        having(optimizer=RATE),
        "`config.optimizer` must describe a transformation, and "
        "`warmup_cosine_decay_schedule` makes none.",
    ),
    (
        having(optimizer={"name": "adam"}),
        "`config.optimizer.learning_rate` is missing; it must be a number or a "
        "schedule.",
    ),
    (
        sgd(learning_rat=0.1),
        "`config.optimizer.learning_rat` is no argument of `sgd`; the nearest is "
        "'learning_rate'.",
    ),
    (
        sgd(learning_rate=-1.0),
        "`config.optimizer.learning_rate` must be finite and >= 0, got -1.0.",
    ),
    (
        sgd(name="lion", learning_rate=NAN),
        "`config.optimizer.learning_rate` must be finite, got nan.",
    ),
    (
        sgd(learning_rate="1e-3"),
        "`config.optimizer.learning_rate` must be a number or a schedule, got '1e-3'.",
    ),
    (
        sgd(learning_rate=[0.1]),
        "`config.optimizer.learning_rate` must be a number or a schedule, got [0.1].",
    ),
    (
        sgd(learning_rate={"init_value": 0.1}),
        "`config.optimizer.learning_rate.name` is missing, only 'init_value' given.",
    ),
    (
        sgd(learning_rate=SGD),
        "`config.optimizer.learning_rate` must describe a schedule, and `sgd` makes "
        "none.",
    ),
    (sgd(momentum=1.0), "`config.optimizer.momentum` must lie in [0, 1), got 1.0."),
    (
        sgd(momentum=RATE),
        "`config.optimizer.momentum` must be a number or None, got a function.",
    ),
    (sgd(nesterov=1), "`config.optimizer.nesterov` must be a bool, got 1."),
    (sgd(name="adam", b1=None), "`config.optimizer.b1` must be a number, got None."),
    (sgd(name="lion", b1=True), "`config.optimizer.b1` must be a number, got True."),
    (
        sgd(name="adamw", mask={"function": "decay_maks"}),
        "`config.optimizer.mask.function`: 'decay_maks' is unknown; the nearest is "
        "'decay_mask'.",
    ),
    # Lists and groups.
    (
        having(optimizer=[{"name": "scale_by_adam", "b1": 1.0}, SGD]),
        "`config.optimizer.0.b1` must lie in [0, 1), got 1.0.",
    ),
    (having(optimizer=[SGD, 3]), f"`config.optimizer.1` must be {PARTS}, got 3."),
    (
        having(
            optimizer={
                "name": "swa",
                "start_step": 3,
                "inner": [SGD, {**SGD, "nesterov": "yes"}],
            }
        ),
        "`config.optimizer.inner.1.nesterov` must be a bool, got 'yes'.",
    ),
    (
        groups(["bias$", SGD], ["", {"name": "adam", "learning_rate": 0.1, "b2": 1}]),
        "`config.optimizer.groups.1.1.b2` must lie in [0, 1), got 1.",
    ),
    (
        groups(["bias$", [SGD, {"name": "clip", "max_delta": INF}]], ["", SGD]),
        "`config.optimizer.groups.0.1.1.max_delta` must be finite, got inf.",
    ),
    (
        groups(["bias$", SGD]),
        "`config.optimizer`: parameter `output/kernel`: no pattern of ['bias$'] is "
        'found in this path; a last group with the pattern "" takes the rest.',
    ),
    (
        groups(["bais$", SGD], ["", SGD]),
        "`config.optimizer.groups.0`: the pattern 'bais$' gets no parameter: it is "
        "found in no path, or only in those that earlier groups take, of "
        "`output/bias`, `output/kernel`.",
    ),
    (
        groups(["("]),
        "`config.optimizer.groups.0` must be a list of 2, got ['('].",
    ),
    (
        groups(["(", SGD]),
        "`config.optimizer.groups.0`: '(' is no regular expression: missing ), "
        "unterminated subpattern at position 0.",
    ),
    (
        having(optimizer={"groups": [["", SGD]], "default": SGD}),
        "`config.optimizer.default` is no argument of `partition_by_path`; the nearest "
        "is 'groups'.",
    ),
    # Schedules.
    (
        having(schedule={**RATE, "decay_steps": 5}),
        "`config.schedule.decay_steps` counts the warm-up too and must be larger than "
        "`warmup_steps` = 5, got 5.",
    ),
    (
        having(schedule={"name": "warmup_cosine"}),
        "`config.schedule.name`: 'warmup_cosine' is unknown; the nearest is "
        "'warmup_cosine_decay_schedule'.",
    ),
    (
        having(schedule=SGD),
        "`config.schedule` must describe a schedule, and `sgd` makes none.",
    ),
    (
        having(schedule=FALLING),
        "`config.schedule` must be finite and >= 0 at every step, is -0.125 at step 9.",
    ),
    (
        sgd(learning_rate=FALLING),
        "`config.optimizer.learning_rate` must be finite and >= 0 at every step, is "
        "-0.125 at step 9.",
    ),
    (
        groups(["", [{**SGD, "learning_rate": FALLING}]]),
        "`config.optimizer.groups.0.1.0.learning_rate` must be finite and >= 0 at "
        "every step, is -0.125 at step 9.",
    ),
    (
        having(schedule=RATE, optimizer=[SGD]),
        "`config.schedule` replaces the `learning_rate` of a named optimizer, and "
        "`config.optimizer` has none: write the schedule in place of the rate there.",
    ),
    (
        having(schedule=RATE, optimizer={**SGD, "learning_rate": -1}),
        "`config.optimizer.learning_rate` must be finite and >= 0, got -1.",
    ),
    (
        sgd(
            learning_rate={
                "name": "join_schedules",
                "schedules": [0.1, RATE],
                "boundaries": [5],
            }
        ),
        "`config.optimizer.learning_rate.schedules.0` must be a schedule, got 0.1.",
    ),
    # What stands around the optimizer.
    (
        having(clip={"name": "clip_by_global_norm"}),
        "`config.clip.max_norm` is missing; it must be a number.",
    ),
    (having(clip=1.0), f"`config.clip` must be {PARTS}, got 1.0."),
    (
        having(plateau={"name": "reduce_on_plateau", "factor": 2}),
        "`config.plateau.factor` must lie in (0, 1), got 2.",
    ),
    (
        having(plateau={"name": "reduce_on_plateau", "patience": 0.5}),
        "`config.plateau.patience` must be an int, got 0.5.",
    ),
    (
        having(plateau={"factor": 0.5}),
        "`config.plateau.name` is missing, only 'factor' given.",
    ),
    (
        having(average={"name": "swa"}),
        "`config.average.start_step` is missing; it must be an int.",
    ),
    (
        having(average={"name": "swa", "start_step": 5, "inner": SGD}),
        "`config.average.inner` must be left out: it is the optimizer.",
    ),
    (
        having(average={"name": "adam"}),
        "`config.average.name` must be a wrapper of optimizers such as 'swa', got "
        "'adam'.",
    ),
    (
        having(average={"name": "masked", "mask": True}),
        "`config.average`: `opt_state` holds no average: wrap the optimizer in `swa`.",
    ),
    # Stopping, checkpoints, devices.
    (
        having(early_stopping={}),
        "`config.early_stopping.patience` is missing; it must be an int.",
    ),
    (
        having(early_stopping={"patience": 0}),
        "`config.early_stopping.patience` must lie in [1, 2**31 - 1], got 0.",
    ),
    (
        having(early_stopping={"patience": 3, "delta": 0.1}),
        "`config.early_stopping.delta` is unknown; the nearest is 'min_delta'.",
    ),
    (
        having(early_stopping={"patience": 3, "mode": "mim"}),
        "`config.early_stopping.mode` must be one of min, max, got 'mim'; the nearest "
        "is 'min'.",
    ),
    (
        having(early_stopping=10),
        "`config.early_stopping` must be a dict or None, got 10.",
    ),
    (
        having(checkpoint={"every": 10}),
        "`config.checkpoint.every` is unknown; the nearest is 'every_steps'.",
    ),
    (
        having(checkpoint={"keep": 0}),
        "`config.checkpoint.keep` must lie in [1, 2**31 - 1], got 0.",
    ),
    (
        having(checkpoint={"every_seconds": -1.0}),
        "`config.checkpoint.every_seconds` must be finite and >= 0, got -1.0.",
    ),
    (
        having(checkpoint={"every_steps": 0}),
        "`config.checkpoint.every_steps` must lie in [1, 2**31 - 1], got 0.",
    ),
    (
        having(parallel={"devices": -1}),
        "`config.parallel.devices` must lie in [0, 2**31 - 1], got -1.",
    ),
    (having(parallel=2), "`config.parallel` must be a dict, got 2."),
    (
        having(parallel={"strategy": "tpu"}),
        "`config.parallel.strategy` must be one of jit, pmap, got 'tpu'; the nearest "
        "is 'jit'.",
    ),
    (
        having(parallel={"devices": 3}),
        "`config.data.batch_size`: the batch size must be a multiple of the number of "
        "devices, got 32 with 3 devices.",
    ),
    (
        having(parallel={"devices": 8}),
        "`config.parallel.devices` asks for 8 devices, but only 4 (cpu) are visible; "
        "fake ones on a CPU: set XLA_FLAGS=--xla_force_host_platform_device_count=8 "
        "before JAX starts.",
    ),
]


load = functools.cache(gd.data.load)


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch):
    monkeypatch.setattr("gdjax.training._run.fit", None)
    monkeypatch.setattr("gdjax.training._setup.load", load)


@pytest.mark.parametrize("config, sentence", REFUSED)
def test_a_config_with_a_mistake_is_not_started(config, sentence, tmp_path):
    with pytest.raises(ValueError) as caught:
        run(config, tmp_path / "job")
    assert str(caught.value) == sentence
    assert not (tmp_path / "job").exists()


def test_the_table_is_long_and_names_places():
    assert len(REFUSED) >= 50
    assert all(sentence.startswith("`config") for _, sentence in REFUSED)
