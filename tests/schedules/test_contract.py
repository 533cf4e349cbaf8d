"""What every schedule promises besides its formula, for all in a few programs."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from schedule_formulas import CASES, MAX_INT, around, built, marks, wanted

STEPS = np.array([*range(300), 2**24 + 1, MAX_INT - 1, MAX_INT], np.int32)
# Where numbers fix times: the places of floats that cannot be traced.
FIXED = {
    "linear_onecycle_schedule": (2, 3),
    "cosine_onecycle_schedule": (2,),
    "cosine_restarts_schedule": (2,),
}


def close(got, name, args, steps=STEPS, tolerance=1e-6):
    want = wanted(name, args, steps)
    atol = tolerance * np.abs(want).max()
    np.testing.assert_allclose(got, want, rtol=0, atol=atol, err_msg=name)


def all_values(steps):
    return {name: built(name, args)(steps) for name, args in CASES.items()}


@jax.jit
def each(steps):
    """All values, each of a scalar step."""
    return jax.lax.map(all_values, steps)


@pytest.fixture(scope="module")
def loop():
    return jax.device_get(each(STEPS))


def test_compiled_in_a_loop_over_steps(loop):
    for name, args in CASES.items():
        assert loop[name].dtype == np.float32 and loop[name].shape == STEPS.shape
        close(loop[name], name, args)


def test_in_f64():
    with jax.enable_x64(True):
        values = jax.device_get(each(STEPS))
    for name, args in CASES.items():
        assert values[name].dtype == np.float64
        close(values[name], name, args, tolerance=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_every_schedule_looks_at_its_step(name):
    """And so gets it as `count` makes it: wide enough, not negative."""
    with pytest.raises(TypeError, match="`step` must be an integer, got float"):
        built(name, CASES[name])(1.0)


def split(name):
    """The floats that may be traced, and how to put others in their place."""
    leaves, tree = jax.tree.flatten(CASES[name], is_leaf=lambda x: x is None)
    fixed = [CASES[name][place] for place in FIXED.get(name, ())]
    live = [i for i, x in enumerate(leaves) if isinstance(x, float) and x not in fixed]

    def replace(numbers):
        new = list(leaves)
        for i, x in zip(live, numbers, strict=True):
            new[i] = x
        return jax.tree.unflatten(tree, new)

    return [leaves[i] for i in live], replace


def test_numbers_are_live():
    """One program for all values of all numbers, each of which has an effect."""
    parts = {name: split(name) for name in CASES}
    numbers = {name: np.array(x, np.float32) for name, (x, _) in parts.items()}
    few = STEPS[[*range(0, 300, 7), -1]]

    def values(numbers, step):
        args = {n: replace(list(numbers[n])) for n, (_, replace) in parts.items()}
        return {name: built(name, args[name])(step) for name in CASES}

    program = jax.jit(lambda x, steps: jax.lax.map(lambda t: values(x, t), steps))
    read = lambda numbers: jax.device_get(program(numbers, few))
    smaller = {name: np.float32(0.75) * x for name, x in numbers.items()}
    for given in (numbers, smaller):
        usual = read(given)
        for name, (_, replace) in parts.items():
            # The formula at what f32 has made of the numbers.
            args = replace(given[name].astype(np.float64).tolist())
            close(usual[name], name, args, few)
    for i in range(max(map(len, numbers.values()))):
        one = {n: np.where(np.arange(len(x)) == i, 0.9, 1) for n, x in smaller.items()}
        other = read({n: np.float32(x * smaller[n]) for n, x in one.items()})
        for name in CASES:
            same = np.array_equal(other[name], usual[name])
            # A peak, or any other number, of 0 is still 0.
            nothing = i >= len(smaller[name]) or smaller[name][i] == 0
            assert same == nothing, f"{name}: number {i}"
    assert program._cache_size() == 1


def test_derivatives_are_finite_also_where_nothing_is_left():
    """By the numbers in powers and exponents, whose logarithms end at 0."""
    few = STEPS[[0, 1, 50, 99, 100, 119, 120, 299, -1]]
    names = ("polynomial_schedule", "cosine_decay_schedule", "exponential_decay")

    @jax.jit
    def program():
        slopes = {}
        for name in names:
            floats, replace = split(name)
            value = lambda x, n=name, r=replace: jax.vmap(built(n, r(list(x))))(few)
            slopes[name] = jax.jacfwd(value)(jnp.array(floats))
        return slopes

    for name, slopes in program().items():
        assert np.isfinite(slopes).all(), name
        assert np.all(np.abs(slopes).max(axis=0) > 0), name


# {name: the step from which on it is held, and the value}
ENDS = {
    "linear_schedule": (120, 0.7),
    "polynomial_schedule": (120, 0.1),
    "exponential_decay": (264, 0.05),
    "piecewise_constant_schedule": (90, 0.9 * 0.3 * 0.5),
    "piecewise_interpolate_schedule": (90, 0.9 * 0.3 * 0.5),
    "cosine_decay_schedule": (100, 0.09),
    "warmup_constant_schedule": (20, 0.7),
    "warmup_cosine_decay_schedule": (100, 0.05),
    "linear_onecycle_schedule": (100, 0.9 / 5 / 20),
    "cosine_onecycle_schedule": (100, 0.9 / 5 / 20),
    "sgdr_schedule": (100, 0.0),
    "wsd_schedule": (100, 0.1),
    "rex_schedule": (100, 0.0),
    "swa_schedule": (50, 0.3),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_end_value_is_held_and_exact(name, loop):
    """To the last bit, where f32 holds the end as it was given."""
    step, value = ENDS[name]
    after = np.append(loop[name][step:300], loop[name][-3:])
    assert np.all(after == after[0])
    np.testing.assert_allclose(after[0], value, rtol=1e-7)
    assert loop[name][step - 1] != after[0]


JUMPS = {
    "piecewise_constant_schedule",
    "step_decay_schedule",
    "join_schedules",
    "in_epochs",
    "warmup_exponential_decay_schedule",  # with a staircase
}


def longer(args):
    if isinstance(args, dict):
        return {longer(key): longer(value) for key, value in args.items()}
    if isinstance(args, (list, tuple)):
        return type(args)(map(longer, args))
    is_steps = isinstance(args, int) and not isinstance(args, bool)
    return args * 10**5 if is_steps else args


@pytest.mark.parametrize("name", sorted(set(CASES) - JUMPS))
def test_where_the_formula_is_continuous_so_is_the_schedule(name):
    """A hundred thousand times as long, neighbours differ by next to nothing."""
    args = longer(CASES[name])
    steps = around(*marks(args), *(10**6 * k for k in (1, 3, 7)))
    values = built(name, args)
    there, before = np.asarray(values(steps)), np.asarray(values(steps - 1))
    assert np.abs(there - before).max() < 2e-3  # sqrt: 1 / sqrt(3e6)


def test_formulas_are_those_of_optax():
    """Where both have the name, at steps that f32 still holds."""
    alike = {name: args for name, args in CASES.items() if hasattr(optax, name)}
    assert len(alike) == 14
    alike.pop("join_schedules")  # its arguments are ours
    alike.pop("constant_schedule")  # returns what it was given
    steps = STEPS[:300]
    theirs = {name: getattr(optax, name)(*args) for name, args in alike.items()}
    program = jax.jit(lambda x: {name: jax.vmap(f)(x) for name, f in theirs.items()})
    for name, values in jax.device_get(program(steps)).items():
        close(values, name, CASES[name], steps, tolerance=2e-6)
