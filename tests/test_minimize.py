"""minimize: gradient descent's own recurrence, when it stops, what it can be put in."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd

QUADRATIC = gd.problems.quadratic(10.0)
H = np.array([1.0, 10.0])


def on_quadratic(**options):
    options = {"num_steps": 30, **options}
    return gd.minimize(QUADRATIC.fun, QUADRATIC.init, gd.sgd(0.15), **options)


def test_the_iterates_of_gradient_descent():
    found = on_quadratic(trajectory=True)
    want = (1 - 0.15 * H) ** np.arange(31)[:, None]
    np.testing.assert_allclose(found.trajectory, want, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(found.params, found.trajectory[-1])
    assert found.value == QUADRATIC.fun(found.params)
    assert (found.num_steps, found.converged) == (30, False)
    start = on_quadratic(num_steps=0, trajectory=True)
    np.testing.assert_array_equal(start.trajectory, [[1, 1]])
    assert (start.value, start.num_steps, start.converged) == (5.5, 0, False)


def steps_until_idle(values, tol, patience):
    best, idle = values[0], 0
    for step, value in enumerate(values[1:], 1):
        idle = 0 if best - value > tol else idle + 1
        best = value if idle == 0 else best
        if idle == patience:
            return step
    return None


@pytest.mark.parametrize(
    ("tol", "patience", "idle"), [(1e-3, None, 1), (0.2, 3, 3), (0.0, 2, 2)]
)
def test_stops_when_nothing_improves(tol, patience, idle):
    """On |x|, whose steps end by bouncing between -0.5 and 0.5."""
    fun = lambda x: jnp.abs(x)
    options = {"num_steps": 50, "tol": tol, "patience": patience, "trajectory": True}
    found = gd.minimize(fun, jnp.float32(5.5), gd.sgd(1.0), **options)
    want = steps_until_idle(np.r_[5.5:0.4:-1, [0.5] * 20], tol, idle)
    assert (int(found.num_steps), bool(found.converged)) == (want, True)
    np.testing.assert_array_equal(found.trajectory[want:], found.params)
    assert abs(found.trajectory[want - 1]) == 0.5


def test_vmap_over_starts_and_rates_under_jit():
    """Each stops on its own, and one program serves them all."""

    def end(start, rate, tol):
        tx = gd.sgd(rate)
        return gd.minimize(QUADRATIC.fun, start, tx, num_steps=400, tol=tol)

    starts = jnp.array([[1.0, 1.0], [3.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    rates = jnp.array([0.1, 0.05, 0.1, 0.3])
    grid = jax.jit(jax.vmap(end, (0, 0, None)))
    ends = grid(starts, rates, 1e-9)
    for i in range(4):
        alone = end(starts[i], rates[i], 1e-9)
        assert int(alone.num_steps) == int(ends.num_steps[i])
        np.testing.assert_allclose(alone.params, ends.params[i], rtol=1e-5, atol=1e-9)
    assert len(set(ends.num_steps.tolist())) == 3  # 0.3 goes up at once
    assert (ends.value[:3] < 1e-8).all() and ends.value[3] > 5
    assert np.asarray(grid(starts, rates, 0.0).num_steps).tolist() == [400] * 4


def test_what_the_update_is_given():
    """Value, gradient and function, as a line search needs them."""
    problem = gd.problems.rosenbrock()
    found = gd.minimize(problem.fun, problem.init, optax.lbfgs(), num_steps=60)
    np.testing.assert_allclose(found.params, problem.minimizer, atol=1e-3)

    def look(updates, state, params, *, value, grad, value_fn):
        return -(0.01 * value + 0.1 * value_fn(params + 1)) * grad, state

    tx = optax.GradientTransformationExtraArgs(optax.init_empty_state, look)
    found = gd.minimize(lambda x: jnp.sum(x**2), jnp.ones(2), tx, num_steps=1)
    np.testing.assert_allclose(found.params, 1 - (0.01 * 2 + 0.1 * 8) * 2, rtol=1e-6)


def test_a_function_without_a_derivative():
    """Rounded to steps of 1/8: its own gradient is 0, that of differences is not."""
    fun = lambda x: jnp.sum(jnp.round(8 * jnp.abs(x - 1)) / 8)

    def grad_fn(x, step):
        signs = jax.random.rademacher(jax.random.fold_in(jax.random.key(0), step), (2,))
        return (fun(x + signs / 4) - fun(x - signs / 4)) * 2 * signs

    stays = gd.minimize(fun, jnp.zeros(2), gd.sgd(0.02), num_steps=300)
    np.testing.assert_array_equal(stays.params, 0)
    moves = gd.minimize(fun, jnp.zeros(2), gd.sgd(0.02), num_steps=300, grad_fn=grad_fn)
    assert moves.value <= 0.25 < stays.value


def test_a_start_that_is_no_number_is_left():
    fun = lambda x: jnp.where(x > 1, jnp.nan, x**2)
    found = gd.minimize(
        fun,
        jnp.float32(1.5),
        gd.sgd(1.0),
        num_steps=20,
        patience=3,
        grad_fn=lambda x, step: jnp.float32(0.25),
    )
    assert (int(found.num_steps), bool(found.converged)) == (9, True)


def test_trees_dtypes_and_complex_parameters():
    params = {"a": jnp.ones(2, jnp.bfloat16), "b": (jnp.array([1 + 2j]), None)}
    fun = lambda p: jnp.sum(p["a"] ** 2) + jnp.sum(jnp.abs(p["b"][0] - 1j) ** 2)
    found = gd.minimize(fun, params, gd.sgd(0.2), num_steps=40, trajectory=True)
    kinds = lambda tree: [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]
    assert kinds(found.params) == kinds(params)
    assert found.trajectory["b"][0].shape == (41, 1)
    np.testing.assert_allclose(found.params["b"][0], 1j, atol=1e-6)


def test_a_run_that_leaves_the_numbers_has_not_converged():
    fun = lambda x: x**4
    found = gd.minimize(fun, jnp.float32(10), gd.sgd(1.0), num_steps=20, patience=3)
    assert not np.isfinite(found.value)
    assert (int(found.num_steps), bool(found.converged)) == (3, False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_steps": -1}, r"`num_steps` must lie in \[0, "),
        ({"num_steps": 2.0}, "`num_steps` must be a Python integer"),
        ({"tol": -1.0}, "`tol` must be finite and >= 0, got -1.0"),
        ({"patience": 0}, r"`patience` must lie in \[1, "),
        (
            {"fun": lambda x: x},
            r"`fun` must return a real scalar, got float32 of shape",
        ),
        ({"fun": lambda x: (x[0], x)}, "must return a real scalar, got a tuple"),
        ({"params": np.arange(2)}, "must be real or complex floats"),
        ({"tx": 0.1}, "`tx` must be an optimizer such as"),
    ],
)
def test_bad_arguments(change, message):
    arguments = {
        "fun": QUADRATIC.fun,
        "params": QUADRATIC.init,
        "tx": gd.sgd(0.1),
        "num_steps": 2,
    }
    with pytest.raises((ValueError, TypeError), match=message):
        gd.minimize(**{**arguments, **change})
