"""Bad arguments: refused when built, by the name that the user gave them."""

import inspect
import re
import types

import jax
import numpy as np
import optax
import pytest

import gdjax as gd

NAN, INF = float("nan"), float("inf")
LINE = gd.linear_schedule(1.0, 0.0, 5)
CYCLE = dict(init_value=0.0, peak_value=1.0, warmup_steps=2, decay_steps=9)
GOOD = {
    "constant_schedule": dict(value=1.0),
    "linear_schedule": dict(init_value=1.0, end_value=0.0, transition_steps=5),
    "polynomial_schedule": dict(
        init_value=1.0, end_value=0.0, power=2.0, transition_steps=5
    ),
    "exponential_decay": dict(init_value=1.0, transition_steps=5, decay_rate=0.5),
    "piecewise_constant_schedule": dict(init_value=1.0),
    "piecewise_interpolate_schedule": dict(interpolate_type="linear", init_value=1.0),
    "cosine_decay_schedule": dict(init_value=1.0, decay_steps=5),
    "warmup_constant_schedule": dict(init_value=0.0, peak_value=1.0, warmup_steps=5),
    "warmup_cosine_decay_schedule": CYCLE,
    "warmup_exponential_decay_schedule": dict(
        init_value=0.0,
        peak_value=1.0,
        warmup_steps=5,
        transition_steps=5,
        decay_rate=0.5,
    ),
    "linear_onecycle_schedule": dict(transition_steps=5, peak_value=1.0),
    "cosine_onecycle_schedule": dict(transition_steps=5, peak_value=1.0),
    "sgdr_schedule": dict(cosine_kwargs=[CYCLE]),
    "join_schedules": dict(schedules=[LINE, LINE, LINE], boundaries=[3, 6]),
    "step_decay_schedule": dict(init_value=1.0, drop_every=5, drop_factor=0.5),
    "inverse_time_decay_schedule": dict(
        init_value=1.0, decay_rate=0.5, transition_steps=5
    ),
    "inverse_sqrt_schedule": dict(peak_value=1.0, warmup_steps=5),
    "cyclical_schedule": dict(base_value=0.0, max_value=1.0, half_cycle_steps=5),
    "cosine_restarts_schedule": dict(peak_value=1.0, first_period=5),
    "wsd_schedule": dict(
        peak_value=1.0, warmup_steps=5, stable_steps=5, cooldown_steps=5
    ),
    "rex_schedule": dict(init_value=1.0, decay_steps=5),
    "swa_schedule": dict(schedule=LINE, swa_value=0.5, start_step=3, anneal_steps=5),
    "with_warmup": dict(schedule=LINE, warmup_steps=5),
    "in_epochs": dict(schedule=LINE, steps_per_epoch=5),
}
LOWEST = {  # steps of 0 are fine
    "transition_begin",
    "warmup_steps",
    "stable_steps",
    "cooldown_steps",
    "start_step",
    "anneal_steps",
    "cycle_steps",
}


def parameters(name):
    return inspect.signature(getattr(gd, name)).parameters.values()


def of_kind(kind):
    """(name of the schedule, name of the argument), by how it is annotated."""
    return [
        (name, p.name)
        for name in GOOD
        for p in parameters(name)
        if kind == p.annotation
        or (isinstance(p.annotation, types.UnionType) and kind in p.annotation.__args__)
    ]


def refuses(error, name, sentence, **changed):
    arguments = {**GOOD[name], **changed}
    with pytest.raises(error) as caught:
        getattr(gd, name)(**arguments)
    said = str(caught.value).split("\n")[0]
    assert re.match(f"{sentence}$", said), said


def test_the_good_ones_are_good():
    assert sorted(GOOD) == gd.schedules.__all__
    for name, arguments in GOOD.items():
        assert callable(getattr(gd, name)(**arguments))


@pytest.mark.parametrize("name, argument", of_kind(int))
def test_numbers_of_steps(name, argument):
    least = 0 if argument in LOWEST else 1
    words = rf"`{argument}` must lie in \[{least}, 2\*\*31 - 1\], got "
    refuses(ValueError, name, f"{words}-3.", **{argument: -3})
    refuses(ValueError, name, f"{words}2147483648.", **{argument: 2**31})
    for x in (2.0, "2", True, None):
        words = f"`{argument}` must be a Python integer, got {x!r}."
        refuses(TypeError, name, words, **{argument: x})
    if least:
        refuses(
            ValueError, name, f"`{argument}` must lie in .*, got 0.", **{argument: 0}
        )

    def traced(x):
        refuses(TypeError, name, f"`{argument}` must be a Python.*", **{argument: x})
        return x

    jax.jit(traced)(3)


@pytest.mark.parametrize("name, argument", of_kind(float))
def test_numbers_are_finite_scalars(name, argument):
    for x in (NAN, INF, -INF):
        words = f"`{argument}` must (be finite|lie in).*, got {x}."
        refuses(ValueError, name, words, **{argument: x})
    for x in ("1", True, LINE):
        words = f"`{argument}` must be a number, got .*"
        refuses(TypeError, name, words, **{argument: x})
    words = rf"`{argument}` must be a scalar, got shape \(2,\);.*"
    refuses(ValueError, name, words, **{argument: np.ones(2)})


POSITIVE = "be finite and > 0"
DROP = r"lie in \(0, 1\]"
PART = r"lie in \[0, 1\]"


@pytest.mark.parametrize(
    "name, argument, value, words",
    [
        ("polynomial_schedule", "power", 0, POSITIVE),
        ("cosine_decay_schedule", "exponent", 0.0, POSITIVE),
        ("warmup_cosine_decay_schedule", "exponent", -1, POSITIVE),
        ("exponential_decay", "decay_rate", 0, POSITIVE),
        ("warmup_exponential_decay_schedule", "decay_rate", -0.5, POSITIVE),
        ("linear_onecycle_schedule", "pct_start", -0.1, PART),
        ("linear_onecycle_schedule", "pct_final", 1.5, PART),
        ("linear_onecycle_schedule", "pct_final", 0.2, "be at least `pct_start` = 0.3"),
        ("linear_onecycle_schedule", "div_factor", 0, POSITIVE),
        ("linear_onecycle_schedule", "final_div_factor", -1.0, POSITIVE),
        ("cosine_onecycle_schedule", "pct_start", 1.1, PART),
        ("cosine_onecycle_schedule", "div_factor", 0, POSITIVE),
        ("cosine_onecycle_schedule", "final_div_factor", 0, POSITIVE),
        ("step_decay_schedule", "drop_factor", 10, DROP),
        ("step_decay_schedule", "drop_factor", 0.0, DROP),
        ("inverse_time_decay_schedule", "decay_rate", -1, "be finite and >= 0"),
        ("cyclical_schedule", "gamma", 1.5, DROP),
        ("cyclical_schedule", "gamma", 0.5, 'be 1 unless `mode` is "exp_range"'),
        ("cosine_restarts_schedule", "period_multiplier", 0.5, "be finite and >= 1"),
        ("cosine_restarts_schedule", "peak_multiplier", 0, POSITIVE),
        (
            "cosine_restarts_schedule",
            "first_period",
            0,
            r"lie in \[1, 2\*\*31 - 1\]",
        ),
    ],
)
def test_numbers_outside_their_range(name, argument, value, words):
    refuses(ValueError, name, f"`{argument}` must {words}, got .*", **{argument: value})


@pytest.mark.parametrize(
    "name, argument, allowed",
    [
        ("piecewise_interpolate_schedule", "interpolate_type", "linear, cosine"),
        ("cyclical_schedule", "mode", "triangular, triangular2, exp_range"),
        ("wsd_schedule", "cooldown", "linear, cosine, sqrt"),
        ("swa_schedule", "strategy", "cosine, linear"),
    ],
)
def test_names(name, argument, allowed):
    words = f"`{argument}` must be one of {allowed}, got 'linaer'; the nearest is.*"
    refuses(ValueError, name, words, **{argument: "linaer"})


def test_a_warmup_longer_than_the_whole():
    for warm, whole in ((9, 9), (20, 9)):
        words = (
            "`decay_steps` counts the warm-up too and must be larger than "
            f"`warmup_steps` = {warm}, got {whole}."
        )
        name = "warmup_cosine_decay_schedule"
        refuses(ValueError, name, words, warmup_steps=warm, decay_steps=whole)
    words = (
        "`first_period` contains the warm-up and must be larger than `warmup_steps` = "
        "5, got 5."
    )
    refuses(ValueError, "cosine_restarts_schedule", words, warmup_steps=5)


def test_what_is_no_schedule():
    for name, argument in of_kind(optax.Schedule):
        words = f"`{argument}` must be a schedule, step -> value, got 0.1."
        refuses(TypeError, name, words, **{argument: 0.1})
    words = r"`schedules\[1\]` must be a schedule, step -> value, got Grad.*"
    refuses(TypeError, "join_schedules", words, schedules=[LINE, gd.sgd(0.1), LINE])


@pytest.mark.parametrize(
    "error, changed, words",
    [
        (ValueError, [6, 3], r"`boundaries` must rise, got \[6, 3\]."),
        (ValueError, [3, 3], r"`boundaries` must rise, got \[3, 3\]."),
        (ValueError, [3], "`boundaries` must have one entry less .* has 3, got 1."),
        (ValueError, [1, 2, 3], "`boundaries` must have one .* has 3, got 3."),
        (ValueError, [-1, 3], r"`boundaries\[0\]` must lie in \[0, .*, got -1."),
        (TypeError, [1, 3.5], r"`boundaries\[1\]` must be a Python integer, got 3.5."),
    ],
)
def test_boundaries_of_joined_schedules(error, changed, words):
    refuses(error, "join_schedules", words, boundaries=changed)


def test_no_schedules_at_all():
    words = "`{}` must be a list, got 0.1."
    for name, argument in (
        ("join_schedules", "schedules"),
        ("join_schedules", "boundaries"),
        ("sgdr_schedule", "cosine_kwargs"),
    ):
        refuses(TypeError, name, words.format(argument), **{argument: 0.1})
    words = "`schedules` must have at least one entry, got none."
    refuses(ValueError, "join_schedules", words, schedules=[], boundaries=[])
    words = "`cosine_kwargs` must have at least one cycle, got none."
    refuses(ValueError, "sgdr_schedule", words, cosine_kwargs=iter(()))


@pytest.mark.parametrize(
    "error, scales, words",
    [
        (ValueError, {-3: 0.5}, r"`{}.keys\(\)` must lie in \[0, .*, got -3."),
        (TypeError, {2.5: 0.5}, r"`{}.keys\(\)` must be a Python integer, got 2.5."),
        (TypeError, {"2": 0.5}, r"`{}.keys\(\)` must be a Python integer, got '2'."),
        (ValueError, {3: -0.5}, r"`{}\[3\]` must be finite and >= 0, got -0.5."),
        (ValueError, {3: NAN}, r"`{}\[3\]` must be finite and >= 0, got nan."),
        (TypeError, [(3, 0.5)], r"`{}` must be a dict {{step: factor}}, got .*"),
    ],
)
@pytest.mark.parametrize("name", [n for n in GOOD if n.startswith("piecewise")])
def test_boundaries_and_scales(name, error, scales, words):
    words = words.format("boundaries_and_scales")
    refuses(error, name, words, boundaries_and_scales=scales)


@pytest.mark.parametrize(
    "error, changed, words",
    [
        (ValueError, {"decay_steps": 2}, "decay_steps` counts the warm-up too .* 2."),
        (ValueError, {"peak_value": NAN}, "peak_value` must be finite, got nan."),
        (TypeError, {"warmup_steps": 0.5}, "warmup_steps` must be a Python .* 0.5."),
    ],
)
def test_a_cycle_is_named(error, changed, words):
    cycles = [CYCLE, {**CYCLE, **changed}]
    words = rf"`cosine_kwargs\[1\].{words}"
    refuses(error, "sgdr_schedule", words, cosine_kwargs=cycles)


def test_cycles_that_are_none():
    for cycle, words in (
        ({**CYCLE, "steps": 3}, "got an unexpected keyword argument 'steps'."),
        (dict(peak_value=1.0), "missing a required argument: 'init_value'."),
        (3, ".* must be a mapping, not int."),
    ):
        words = rf"`cosine_kwargs\[0\]`: {words}"
        refuses(TypeError, "sgdr_schedule", words, cosine_kwargs=[cycle])
    words = r"`cosine_kwargs`: the last cycle must start at .*, got 2147483648."
    cycles = [{**CYCLE, "decay_steps": 2**30}] * 3
    refuses(ValueError, "sgdr_schedule", words, cosine_kwargs=cycles)
    gd.sgdr_schedule(cycles[:2])


@pytest.mark.parametrize(
    "name, argument",
    [
        ("linear_onecycle_schedule", "pct_start"),
        ("cosine_onecycle_schedule", "pct_start"),
        ("cosine_restarts_schedule", "period_multiplier"),
    ],
)
def test_what_fixes_times_is_not_traced(name, argument):
    def build(x):
        words = f"`{argument}` must be a Python number, got .*"
        refuses(TypeError, name, words, **{argument: x})
        return x

    jax.jit(build)(1.0)
