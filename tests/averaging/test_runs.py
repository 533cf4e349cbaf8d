"""Every average in every kind of run: one program's work serves them all."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from quick import QUICK

import gdjax as gd

WRAPPERS = {
    "swa": lambda tx: gd.swa(tx, 1, 2),
    "ema_params": lambda tx: gd.ema_params(tx, 0.7, warmup=3),
    "ema_params, no debias": lambda tx: gd.ema_params(tx, 0.7, debias=False),
    "lawa": lambda tx: gd.lawa(tx, 1, 3),
    "snapshots": lambda tx: gd.snapshots(tx, 2, 2),
    "lookahead": lambda tx: gd.lookahead(tx, 3, 0.4),
    "lookahead, reset": lambda tx: gd.lookahead(tx, 3, 0.4, True),
    "schedule_free": lambda tx: gd.schedule_free(tx, 0.1),
}
RNG = np.random.default_rng(0)
PARAMS = {
    "w": jnp.asarray(RNG.normal(size=(2, 4)), jnp.float32),
    "brain": jnp.asarray(RNG.normal(size=4), jnp.bfloat16),
}
NUM_STEPS = 8
GRADS = [
    jax.tree.map(lambda p: jnp.asarray(RNG.normal(size=p.shape), p.dtype), PARAMS)
    for _ in range(NUM_STEPS)
]


def optimizer():
    return gd.sgd(lambda count: 0.1 / (1 + count), momentum=0.9)


def built(outer=lambda tx: tx):
    return {name: outer(wrap(optimizer())) for name, wrap in WRAPPERS.items()}


def step_of(txs):
    def step(runs, g):
        """`runs`: {name: (parameters, state)}"""

        def one(tx, params, state):
            updates, state = tx.update(g, state, params)
            return gd.apply_updates(params, updates), state

        return {name: one(tx, *runs[name]) for name, tx in txs.items()}

    return step


def start(txs, params=PARAMS):
    copy = lambda: jax.tree.map(jnp.copy, params)
    return {name: (copy(), tx.init(params)) for name, tx in txs.items()}


def averages(runs):
    return {
        name: gd.averaged_params(state, params)
        for name, (params, state) in runs.items()
    }


def host(values):
    return jax.tree.map(lambda x: np.asarray(x).astype(np.float64), values)


def close(got, want, rtol=2e-6):
    """To f32's rounding; to bf16's for what is."""

    def leaf(path, a, b):
        narrow = "brain" in jax.tree_util.keystr(path)
        np.testing.assert_allclose(a, b, 8e-3 if narrow else rtol, 2e-3 * narrow + 1e-6)

    jax.tree_util.tree_map_with_path(leaf, host(got), host(want))


@pytest.fixture(scope="module")
def program():
    """(txs, the donating step): one program for the tests of it."""
    txs = built()
    return txs, jax.jit(step_of(txs), donate_argnums=0, compiler_options=QUICK)


@pytest.fixture(scope="module")
def done(program):
    """(all runs half way and at the end, averages of the end), on the host."""
    txs, step = program
    runs = start(txs)
    kept = []
    for t, g in enumerate(GRADS):
        before = gd.tree.named_leaves(runs)
        runs = step(runs, g)
        if t == 0:  # what was there is gone, all of it
            left = {k for k, x in before.items() if x.size and not x.is_deleted()}
            # of a rate only what it will be is of use: no argument of the program
            assert {k.rpartition("/")[2] for k in left} == {"learning_rate"}
        if t in (NUM_STEPS // 2 - 1, NUM_STEPS - 1):
            kept.append(jax.tree.map(np.array, runs))
    assert step._cache_size() == 1
    return *kept, jax.jit(averages)(runs)


@pytest.mark.long
def test_donated_steps_are_those_of_a_scan(program, done):
    txs, _ = program
    step = step_of(txs)
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *GRADS)
    body = lambda runs, g: (step(runs, g), None)
    scan = lambda runs, g: jax.lax.scan(body, runs, g)[0]
    close(jax.jit(scan, compiler_options=QUICK)(start(txs), stacked), done[1])


def test_a_resumed_run_is_the_same_bit_for_bit(program, done, tmp_path):
    txs, step = program
    half, end, _ = done
    checkpoints = gd.training.Checkpoints(tmp_path)
    checkpoints.save(NUM_STEPS // 2, jax.tree.map(jnp.asarray, half))
    checkpoints.wait()
    step_number, runs = checkpoints.restore(jax.eval_shape(lambda: start(txs)))
    assert step_number == NUM_STEPS // 2
    runs = jax.tree.map(jnp.array, runs)  # buffers of one's own, to be donated
    for g in GRADS[NUM_STEPS // 2 :]:
        runs = step(runs, g)
    same = lambda a, b: np.asarray(a).tobytes() == b.tobytes()
    assert jax.tree.all(jax.tree.map(same, runs, end))


@pytest.mark.long
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_sharded_parameters(kind, done):
    """The same numbers, and what has a parameter's shape is placed like it."""
    mesh = jax.make_mesh((2,), ("x",), axis_types=(kind,), devices=jax.devices()[:2])
    specs = {"w": P(None, "x"), "brain": P("x")}
    put = lambda t: jax.device_put(
        t, {k: NamedSharding(mesh, spec) for k, spec in specs.items()}
    )
    txs = built()
    with jax.set_mesh(mesh):
        runs = start(txs, put(PARAMS))
        step = jax.jit(step_of(txs), compiler_options=QUICK)
        begun = runs
        for g in GRADS:
            runs = step(runs, put(g))
        close(runs, done[1])
        close(jax.jit(averages, compiler_options=QUICK)(runs), done[2])
    for when in begun, runs:
        for path, x in gd.tree.named_leaves(when).items():
            name = path.rpartition("/")[2]
            if name in specs and x.ndim:
                spec = specs[name]
                if x.ndim > PARAMS[name].ndim:  # a stack of them
                    spec = P(None, *spec)
                wanted = NamedSharding(mesh, spec)
                assert x.sharding.is_equivalent_to(wanted, x.ndim), (path, x.sharding)


def trajectory(outer, grads):
    txs = built(outer)
    step = jax.jit(step_of(txs), compiler_options=QUICK)
    runs = functools.reduce(step, grads, start(txs))
    return averages(runs), {name: params for name, (params, _) in runs.items()}


@pytest.fixture(scope="module")
def three_steps(program):
    txs, step = program
    runs = functools.reduce(step, GRADS[:3], start(txs))
    return averages(runs), {name: params for name, (params, _) in runs.items()}


@pytest.mark.long
def test_a_step_that_a_guard_skips_does_not_count(three_steps):
    bad = jax.tree.map(lambda g: g.at[..., 0].set(jnp.nan), GRADS[3])
    one, two, three = GRADS[:3]
    close(trajectory(gd.guard, [bad, one, two, bad, bad, three]), three_steps)


@pytest.mark.long
def test_a_part_of_a_step_does_not_count(three_steps):
    one, two, three = GRADS[:3]
    parts = [one, one, two, two, three, three, GRADS[4]]
    close(trajectory(lambda tx: gd.accumulate(tx, 2), parts), three_steps)
