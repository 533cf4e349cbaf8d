"""Test functions: what they claim to know about their minimum is so."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdjax import problems

PROBLEMS = {
    "quadratic": lambda: problems.quadratic(1e3, 4),
    "quadratic in one dimension": lambda: problems.quadratic(7.0, 1),
    "ravine": problems.ravine,
    "saddle": problems.saddle,
    "rosenbrock": problems.rosenbrock,
    "rosenbrock in six dimensions": lambda: problems.rosenbrock(6),
    "rastrigin": lambda: problems.rastrigin(3),
    "logistic": lambda: problems.logistic(101, 3),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_minimizer_minimum_and_hessian_in_f64(name):
    with jax.enable_x64(True):
        problem = PROBLEMS[name]()
        fun, x = problem.fun, problem.minimizer
        assert x.dtype == problem.init.dtype == problem.hessian.dtype == np.float64
        around = np.random.default_rng(0).normal(size=(2000, len(x)))
        points = np.concatenate([[x, problem.init], x + around, x + 1e-3 * around])
        look = lambda x, points: (
            jax.grad(fun)(x),
            jax.hessian(fun)(x),
            jax.vmap(fun)(points),
        )
        found = jax.tree.map(np.asarray, jax.jit(look)(x, points))
    grad, hessian, (there, start, *others) = found
    scale = np.abs(hessian).max()
    np.testing.assert_allclose(there, problem.minimum, rtol=1e-14)
    np.testing.assert_allclose(grad, 0, atol=1e-15 * scale)
    np.testing.assert_allclose(hessian, problem.hessian, rtol=1e-12, atol=1e-12 * scale)
    assert np.linalg.eigvalsh(problem.hessian)[0] > 0
    assert min(start, *others) > problem.minimum
    assert jax.eval_shape(fun, jnp.ones(len(x), jnp.float32)).dtype == np.float32


def test_curvatures_are_those_asked_for():
    with jax.enable_x64(True):
        for problem in (problems.quadratic(1e4, 7), problems.ravine(1e4)):
            h = np.linalg.eigvalsh(problem.hessian)
            np.testing.assert_allclose(h[[0, -1]], [1, 1e4], rtol=1e-11)
        start = np.linalg.eigh(problem.hessian)[1].T @ problem.init
        np.testing.assert_allclose(np.abs(start), [3, 0.3], rtol=1e-11)


def test_the_saddle_is_one_and_its_minima_are_two():
    fun = problems.saddle().fun
    start = problems.saddle(offset=0.0).init
    look = lambda: (
        jax.hessian(fun)(jnp.zeros(2)),
        jax.vmap(fun)(jnp.array([[0.0, 1.0], [0.0, -1.0]])),
        jax.grad(fun)(start)[1],
    )
    hessian, minima, across = jax.jit(look)()
    np.testing.assert_allclose(hessian, np.diag([1.0, -1.0]))
    np.testing.assert_allclose(minima, -0.25)
    assert across == 0


def test_rosenbrock_and_rastrigin_by_hand():
    x = jnp.array([-1.2, 1.0, 0.5])
    terms = [(1.0 - 1.44, 2.2), (0.5 - 1.0, 0.0)]
    want = sum(100 * a**2 + b**2 for a, b in terms)
    np.testing.assert_allclose(problems.rosenbrock(3).fun(x), want, rtol=1e-6)
    np.testing.assert_allclose(
        problems.rastrigin().fun(x[1:]), 1 + 0.25 + 20, rtol=1e-6
    )


def test_noise_of_the_noisy_quadratic():
    problem = problems.noisy_quadratic([1.0, 4.0], [0.25, 9.0])
    keys = jax.random.split(jax.random.key(0), 40_000)
    x = jnp.array([2.0, -1.0])
    grads = jax.jit(jax.vmap(jax.grad(problem.fun), (None, 0)))(x, keys)
    np.testing.assert_allclose(grads.mean(0), [2, -4], atol=4 * 3 / 200)
    np.testing.assert_allclose(grads.var(0), [0.25, 9], rtol=0.03)
    np.testing.assert_array_equal(problem.hessian, np.diag([1.0, 4.0]))
    assert problem.fun(problem.minimizer, keys[0]) == problem.minimum == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: problems.quadratic(0.5),
            "`condition` must be finite and >= 1, got 0.5",
        ),
        (lambda: problems.quadratic(dim=0), r"`dim` must lie in \[1, "),
        (lambda: problems.ravine(angle=np.nan), "`angle` must be finite, got nan"),
        (lambda: problems.rosenbrock(1), r"`dim` must lie in \[2, "),
        (lambda: problems.saddle("x"), "`offset` must be a number"),
        (lambda: problems.noisy_quadratic([1], [1, 2]), "one length, got 1 and 2"),
        (
            lambda: problems.noisy_quadratic([1, 0], [1, 2]),
            r"`curvatures\[1\]` must be",
        ),
        (lambda: problems.noisy_quadratic([], []), "`curvatures` must be a list"),
        (lambda: problems.logistic(l2=0), "`l2` must be finite and > 0, got 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
