"""Reduction on plateau against a trace by hand, and against Optax where it is right."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import gdjax as gd
from gdjax.parallel import make_mesh
from gdjax.transforms import ReduceOnPlateauState

ONE = jnp.ones(())

# factor 0.5, patience 2, rtol 0.1, cooldown 1, min_scale 0.2, stop_below 0.3
BY_HAND = """
value  scale  plateau  cooldown  best   stop   why
1.00   1      0        0         1.00   0      the first is an improvement
0.95   1      1        0         1.00   0      0.90 would have been one
0.92   0.5    0        1         1.00   0      the second that is none: reduced
0.91   0.5    0        0         1.00   0      not counted
0.80   0.5    0        0         0.80   0
0.75   0.5    1        0         0.80   0
0.50   0.5    0        0         0.50   0      an improvement: the count starts anew
0.60   0.5    1        0         0.50   0
0.60   0.25   0        1         0.50   1      reduced, and below stop_below
0.30   0.25   0        0         0.30   1      not counted, but remembered as the best
0.30   0.25   1        0         0.30   1
nan    0.2    0        1         0.30   1      NaN is none; half of 0.25 is too small
0.01   0.2    0        0         0.01   1
0.02   0.2    1        0         0.01   1
"""
ROWS = [[float(x) for x in row.split()[:6]] for row in BY_HAND.split("\n")[2:-1]]


def trajectory(tx, values, grad=ONE):
    """The states after each value, stacked, and the updates: one compiled scan."""

    def step(state, value):
        u, state = tx.update(grad, state, value=value)
        return state, (state, u)

    scan = jax.jit(lambda values: jax.lax.scan(step, tx.init(grad), values)[1])
    return scan(jnp.asarray(values))


def test_the_trace_by_hand():
    tx = gd.reduce_on_plateau(0.5, 2, 0.1, cooldown=1, min_scale=0.2, stop_below=0.3)
    values, *want = np.transpose(ROWS)
    states, updates = trajectory(tx, values)
    got = (states.scale, states.plateau_count, states.cooldown_count, states.best_value)
    np.testing.assert_allclose([*got, states.stop], want, rtol=1e-6)
    np.testing.assert_array_equal(updates, states.scale)
    assert len(ROWS) == 14


def test_means_of_several_values():
    tx = gd.reduce_on_plateau(0.5, 1, accumulation_size=3)
    states, _ = trajectory(tx, [3.0, 5, 4, 9, 0, 4, 3])
    assert states.count.tolist() == [1, 2, 0, 1, 2, 0, 1]
    assert states.avg_value.tolist() == [3, 4, 0, 9, 4.5, 0, 3]
    assert states.best_value.tolist() == [np.inf] * 2 + [4] * 5
    assert states.scale.tolist() == [1] * 5 + [0.5] * 2  # 13 / 3 is no improvement


@pytest.mark.parametrize(
    "arguments",
    [
        dict(),
        dict(factor=0.8, patience=3, rtol=0.02, atol=0.01, cooldown=2, min_scale=0.05),
        dict(factor=0.7, patience=1, rtol=0.0, atol=0.1, accumulation_size=3),
        dict(factor=0.5, patience=2, cooldown=4, accumulation_size=2, min_scale=0.3),
    ],
)
def test_positive_values_are_those_of_optax_bit_for_bit(arguments):
    rng = np.random.default_rng(0)
    values = np.exp(0.5 * rng.normal(size=300) - np.linspace(0, 3, 300))
    values = np.append(np.append(values, [np.inf, np.nan]), [0.0, 0.01] * 20)
    values = values.astype(np.float32)
    ours, updates = trajectory(gd.reduce_on_plateau(**arguments), values)
    tx = optax.contrib.reduce_on_plateau(**arguments)
    theirs, their_updates = trajectory(tx, values)
    for name in theirs._fields:
        a, b = getattr(ours, name), getattr(theirs, name)
        np.testing.assert_array_equal(a, b, err_msg=name)
    np.testing.assert_array_equal(updates, their_updates)
    assert len(set(ours.scale.tolist())) > 2


def test_signature_and_state_are_those_of_optax():
    ours, theirs = map(
        inspect.signature, (gd.reduce_on_plateau, optax.contrib.reduce_on_plateau)
    )
    pick = lambda s: [(p.name, p.default) for p in s.parameters.values()]
    assert pick(ours)[:7] == pick(theirs)
    keywords = list(ours.parameters.values())[7:]
    assert all(p.kind is p.KEYWORD_ONLY for p in keywords)
    fields = optax.contrib.reduce_on_plateau().init(ONE)._fields
    assert ReduceOnPlateauState._fields[:6] == fields


@pytest.mark.parametrize(
    ("mode", "best", "limit"),  # rtol 0.1, atol 0.5
    [
        ("min", 10.0, 8.5),
        ("min", -10.0, -11.5),
        ("min", 0.0, -0.5),
        ("max", 10.0, 11.5),
        ("max", -10.0, -8.5),
        ("max", 0.0, 0.5),
    ],
)
def test_the_tolerance_has_the_right_sign(mode, best, limit):
    sign = 1 if mode == "min" else -1
    tx = gd.reduce_on_plateau(0.5, 1, 0.1, 0.5, mode=mode)
    for value, kept in (
        (limit - 0.01 * sign, limit - 0.01 * sign),
        (limit + 0.01 * sign, best),
    ):
        states, _ = trajectory(tx, [best, value])
        assert states.best_value.tolist() == pytest.approx([best, kept], rel=1e-6)
        assert states.scale.tolist() == [1, 1 if kept == value else 0.5]


def test_a_negative_metric_reaches_a_plateau():
    """With Optax every value near a negative best is an improvement."""
    values = np.full(8, -2.0, np.float32)
    theirs, _ = trajectory(optax.contrib.reduce_on_plateau(0.5, 3), values)
    assert theirs.scale.tolist() == [1] * 8
    ours, _ = trajectory(gd.reduce_on_plateau(0.5, 3), values)
    assert ours.scale.tolist() == [1] * 3 + [0.5] * 3 + [0.25] * 2


def test_max_is_min_of_the_negative():
    values = np.random.default_rng(0).normal(size=200)
    least, _ = trajectory(gd.reduce_on_plateau(0.9, 3, 0.1, cooldown=2), values)
    tx = gd.reduce_on_plateau(0.9, 3, 0.1, cooldown=2, mode="max")
    most, _ = trajectory(tx, -values)
    np.testing.assert_array_equal(most.scale, least.scale)
    np.testing.assert_array_equal(most.best_value, -least.best_value)
    assert least.scale[-1] < 0.1


@pytest.mark.parametrize("mode", ["min", "max"])
def test_infinite_values_are_compared_not_subtracted(mode):
    sign = 1 if mode == "min" else -1
    tx = gd.reduce_on_plateau(0.5, 1, mode=mode)
    inf = sign * np.inf
    states, _ = trajectory(tx, [inf, np.nan, sign * 1e38, -inf, -inf])
    want = [inf, inf, np.float32(sign * 1e38), -inf, -inf]
    assert states.best_value.tolist() == want
    assert states.scale.tolist() == [0.5, 0.25, 0.25, 0.25, 0.125]


def test_stop_stays_even_if_the_scale_comes_back():
    tx = gd.reduce_on_plateau(0.5, 1, stop_below=0.5)
    states, _ = trajectory(tx, [1.0] * 3)
    assert states.scale.tolist() == [1, 0.5, 0.25]
    assert states.stop.tolist() == [False, False, True]  # below, not at it
    state = jax.tree.map(lambda x: x[-1], states)
    assert gd.metrics(state) == {"plateau_scale": 0.25, "plateau_stop": 1}
    assert gd.metrics(state)["plateau_stop"].dtype == jnp.float32
    _, state = jax.jit(tx.update)(ONE, state._replace(scale=ONE), value=0.1)
    assert state.scale == 1 and state.stop
    plain = gd.reduce_on_plateau().init(ONE)
    assert plain.stop == () and set(gd.metrics(plain)) == {"plateau_scale"}


def test_it_scales_what_comes_in_front_of_it():
    """And behind it: for gradient descent the order does not matter."""
    for links in (
        (gd.reduce_on_plateau(0.5, 1), gd.sgd(0.1)),
        (gd.sgd(0.1), gd.reduce_on_plateau(0.5, 1)),
    ):
        tx = gd.chain(*links)
        state = tx.init(ONE)
        for want in (-0.1, -0.05, -0.025):
            u, state = tx.update(ONE, state, ONE, value=2.0, grad=ONE)
            assert u == pytest.approx(want)


@pytest.mark.parametrize(
    ("params", "wide", "want"),
    [
        ("bfloat16", False, "float32"),
        ("float16", False, "float32"),
        ("float64", True, "float64"),
        ("complex128", True, "float64"),
        ("float32", True, "float32"),
    ],
)
def test_dtypes_are_fixed_by_init(params, wide, want):
    with jax.enable_x64(wide):
        p = jnp.ones(2, params)
        tx = gd.reduce_on_plateau(jnp.array(0.5), jnp.array(1), stop_below=0.1)
        state = tx.init(p)
        floats = (state.scale, state.best_value, state.avg_value, state.evaluation)
        assert {x.dtype for x in floats} == {jnp.dtype(want)}
        describe = lambda s: [
            (x.shape, x.dtype, x.weak_type) for x in jax.tree.leaves(s)
        ]
        for value in (1, np.float64(1), jnp.bfloat16(1)):
            update = lambda p, s: tx.update(p, s, value=value)
            u, new = jax.eval_shape(update, p, state)
            assert describe(new) == describe(state) and u.dtype == p.dtype
            handed = gd.hand_evaluation(state, value)
            assert describe(handed) == describe(state)


def test_integers_may_be_traced():
    @jax.jit
    def scale(patience, cooldown, size):
        tx = gd.reduce_on_plateau(0.5, patience, 1e-4, 0.0, cooldown, size)
        return trajectory(tx, [1.0] * 8)[0].scale[-1]

    grid = jnp.array([[1, 0, 1], [2, 0, 1], [1, 2, 1], [1, 0, 2]])
    many = jax.vmap(scale)(*grid.T)
    alone = [scale(*row).item() for row in grid]
    assert many.tolist() == alone == [0.5**7, 0.5**3, 0.5**3, 0.5**3]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (dict(factor=1.0), "`factor` must lie in (0, 1), got 1.0."),
        (dict(patience=0), "`patience` must lie in [1, 2**31 - 1], got 0."),
        (
            dict(patience=jnp.array(-1)),
            "`patience` must lie in [1, 2**31 - 1], got -1.",
        ),
        (dict(cooldown=1.5), "`cooldown` must be a Python integer, got 1.5."),
        (dict(rtol=1.0), "`rtol` must lie in [0, 1), got 1.0."),
        (dict(rtol=0), "`rtol` or `atol` must be > 0, got 0 for both."),
        (
            dict(min_scale=0.1, stop_below=0.1),
            "`stop_below` must be > `min_scale`, 0.1, below which the scale never "
            "falls; got 0.1.",
        ),
        (
            dict(mode="maximum"),
            "`mode` must be one of min, max, got 'maximum'; the nearest is 'max'.",
        ),
    ],
)
def test_sentences(arguments, sentence):
    with pytest.raises((ValueError, TypeError)) as error:
        gd.reduce_on_plateau(**arguments)
    assert str(error.value) == sentence


def test_what_is_traced_is_not_compared():
    def scale(x):
        tx = gd.reduce_on_plateau(0.5, 1, x, x, min_scale=x, stop_below=x)
        return tx.update(ONE, tx.init(ONE), value=1.0)[0]

    assert jax.jit(scale)(0.0) == 1


def test_a_missing_value_is_said():
    tx = gd.reduce_on_plateau()
    state = tx.init(ONE)
    for update in (tx.update, jax.jit(tx.update)):
        with pytest.raises(ValueError, match="`reduce_on_plateau` needs `value` in"):
            update(ONE, state)
    with pytest.raises(ValueError, match=r"`value` must be a scalar, got shape \(3,\)"):
        tx.update(ONE, state, value=jnp.ones(3))
    with pytest.raises(ValueError, match=r"`value` must be a scalar, got shape \(1,\)"):
        gd.hand_evaluation(state, [1.0])
    _, state = tx.update(ONE, gd.hand_evaluation(state, 3.0))
    assert state.best_value == 3 and state.handed == 1


def test_patience_counts_evaluations_once_they_are_handed():
    tx = gd.reduce_on_plateau(0.5, 2)
    update = jax.jit(tx.update)

    def steps(state, value):
        for _ in range(5):
            _, state = update(ONE, state, value=value)
        return state, (float(state.scale), int(state.plateau_count), int(state.handed))

    state = gd.hand_evaluation(tx.init(ONE))
    state, seen = steps(state, 7.0)  # none has come: nothing counts
    assert seen == (1, 0, 1) and np.isinf(state.best_value)
    for evaluation, want in (
        (3.0, (1, 0, 1)),
        (3.0, (1, 1, 1)),
        (4.0, (0.5, 0, 1)),
        (np.nan, (0.5, 1, 1)),
        (2.0, (0.5, 0, 1)),
    ):
        state = gd.hand_evaluation(state, evaluation)
        assert state.handed == 2
        state, seen = steps(state, 0.0)  # whose values are not looked at
        assert seen == want
    assert state.best_value == 2 and update._cache_size() == 1
    # That evaluations will come takes none back; of two at once the last counts.
    state = gd.hand_evaluation(gd.hand_evaluation(state, 0.5), 0.25)
    state = gd.hand_evaluation(state)
    assert state.handed == 2 and update(ONE, state, value=9.0)[1].best_value == 0.25


def test_nobody_hands_anything():
    state = gd.reduce_on_plateau().init(ONE)
    assert state.handed == 0 and state.evaluation == 0


def test_a_scan_that_evaluates_every_third_step():
    """In one program, as the loop does it from outside."""
    tx = gd.chain(gd.sgd(0.1), gd.reduce_on_plateau(0.5, 1, stop_below=0.3))
    evaluations = jnp.array([1.0, 2.0, 2.0, 0.5])

    def step(state, t):
        state = jax.lax.cond(
            t % 3 == 0,
            lambda s: gd.hand_evaluation(s, evaluations[t // 3]),
            lambda s: s,
            state,
        )
        u, state = tx.update(ONE, state, value=0.0)
        return state, (u, state[1].stop)

    scan = jax.jit(lambda state: jax.lax.scan(step, state, jnp.arange(12)))
    state, (updates, stop) = scan(gd.hand_evaluation(tx.init(ONE)))
    scales = [1] * 3 + [0.5] * 3 + [0.25] * 6
    np.testing.assert_allclose(updates, -0.1 * np.array(scales), rtol=1e-6)
    assert stop.tolist() == [False] * 6 + [True] * 6
    assert state[1].best_value == 0.5


WRAPPERS = {
    "nothing": lambda tx: tx,
    "chain": lambda tx: gd.chain(gd.clip_by_global_norm(2.0), gd.sgd(0.1), tx),
    "named_chain": lambda tx: gd.named_chain(("rate", gd.sgd(0.1)), ("plateau", tx)),
    "masked": lambda tx: gd.masked(tx, {"a": True, "b": False}),
    "swa": lambda tx: gd.swa(gd.chain(gd.adamw(0.1), tx), 0),
    "partition_by_path": lambda tx: gd.partition_by_path([("a", tx), ("", tx)]),
    "MultiSteps": lambda tx: optax.MultiSteps(tx, 2).gradient_transformation(),
    "apply_if_finite": lambda tx: gd.chain(optax.apply_if_finite(gd.chain(tx), 3)),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_it_is_found_at_any_depth(wrapper):
    tx = WRAPPERS[wrapper](gd.reduce_on_plateau())
    params = {"a": jnp.ones(2), "b": None if wrapper == "chain" else jnp.ones(1)}
    state = tx.init(params)
    new = gd.hand_evaluation(state, 0.25)
    assert jax.tree.structure(new) == jax.tree.structure(state)
    found = gd.testing.fields(new, "evaluation"), gd.testing.fields(new, "handed")
    number = 2 if wrapper == "partition_by_path" else 1
    assert found == ([0.25] * number, [2] * number)
    before, after = jax.tree.leaves(state), jax.tree.leaves(new)
    kept = [a is b for a, b in zip(before, after, strict=True)]
    assert kept.count(False) == 2 * number  # nothing else is touched


def test_a_state_without_one_comes_back():
    state = gd.chain(gd.clip_by_global_norm(1.0), gd.adamw(0.1)).init({"w": ONE})
    for value in (None, 1.0):
        new = gd.hand_evaluation(state, value)
        assert jax.tree.structure(new) == jax.tree.structure(state)
        leaves = zip(jax.tree.leaves(new), jax.tree.leaves(state), strict=True)
        assert all(a is b for a, b in leaves)
    assert gd.hand_evaluation((), 1.0) == () and gd.hand_evaluation(None) is None


MESH = NamedSharding(make_mesh({"data": 4}), PartitionSpec())
PLACES = {
    "a number": lambda: 0.5,
    "numpy": lambda: np.float64(0.5),
    "a device": lambda: jax.device_put(jnp.float32(0.5), jax.devices()[3]),
    "the mesh": lambda: jax.device_put(jnp.float32(0.5), MESH),
    "nowhere yet": lambda: jnp.float32(0.5),
}


@pytest.mark.parametrize(
    ("home", "place"),
    [*((MESH, place) for place in PLACES), (None, "a number"), (None, "a device")]
    + [(None, "the mesh"), (None, "nowhere yet")],
)
def test_leaves_stay_where_they_are(home, place):
    tx = gd.chain(gd.sgd(0.1), gd.reduce_on_plateau(0.5, 1))
    state, value = tx.init(ONE), PLACES[place]()
    grad = jax.device_put(ONE, home) if home else ONE
    state = jax.device_put(state, home) if home else state
    where = lambda s: [(x.sharding, x.dtype) for x in jax.tree.leaves(s)]
    handed = gd.hand_evaluation(gd.hand_evaluation(state), value)
    assert where(handed) == where(gd.hand_evaluation(state)) == where(state)
    # The next step compiles nothing anew, and donates no buffer of the caller's.
    step = jax.jit(lambda g, s: tx.update(g, s, value=0.0)[1], donate_argnums=1)
    state = step(grad, gd.hand_evaluation(step(grad, state), value))
    comes_to_be_committed = home is None and place in ("a device", "the mesh")
    assert step._cache_size() == 1 + comes_to_be_committed
    assert float(value) == 0.5 and state[1].best_value == 0


def test_two_of_them_share_no_buffer():
    tx = gd.chain(gd.reduce_on_plateau(), gd.reduce_on_plateau())
    state = gd.hand_evaluation(tx.init(ONE), jnp.float32(0.5))
    step = jax.jit(lambda s: tx.update(ONE, s, value=0.0)[1], donate_argnums=0)
    assert [s.best_value.item() for s in step(state)] == [0.5, 0.5]


def test_handing_waits_for_no_device(monkeypatch):
    tx = gd.reduce_on_plateau()
    for home in (jax.devices()[0], MESH):
        state = jax.device_put(tx.init(ONE), home)
        values = [PLACES[place]() for place in PLACES]

        def waited(self, *_):
            raise AssertionError("it waited")

        with monkeypatch.context() as patch:
            kind = type(ONE)
            patch.setattr(kind, "_value", property(waited))
            for name in ("__array__", "__float__", "__bool__", "block_until_ready"):
                patch.setattr(kind, name, waited)
            for value in (None, *values):
                new = gd.hand_evaluation(state, value)
            with pytest.raises(AssertionError, match="it waited"):
                float(new.evaluation)
        assert new.evaluation == 0.5


def test_jit_and_eager_hand_the_same():
    state = gd.reduce_on_plateau().init(ONE)
    for value in (None, 0.5, jnp.bfloat16(0.5)):
        eager = gd.hand_evaluation(state, value)
        for jitted in (
            jax.jit(gd.hand_evaluation)(state, value),
            jax.jit(lambda value: gd.hand_evaluation(state, value))(value),  # noqa: B023
        ):
            for a, b in zip(jitted, eager, strict=True):
                assert isinstance(b, tuple) or (a == b and a.dtype == b.dtype)


def test_handing_to_many_runs_at_once():
    """A state per run, stacked; what is handed from outside is for all of them."""
    tx = gd.reduce_on_plateau(0.5, 1)
    states = jax.vmap(tx.init)(jnp.ones(3))
    assert gd.hand_evaluation(states, 2.0).evaluation.tolist() == [2] * 3

    @jax.jit
    @jax.vmap
    def each(g, state, value):
        return tx.update(g, gd.hand_evaluation(state, value), value=0.0)[1]

    states = each(jnp.ones(3), states, jnp.arange(3.0))
    assert states.best_value.tolist() == [0, 1, 2] and states.handed.tolist() == [1] * 3
