"""Learning rates too small, right, too large and divergent, and where the edges are.

Claim 1: the opposite of the gradient points to steepest descent.
  Holds when the step is short. Slope of a network along -grad: -1.000 |grad| (n = 5
  seeds), of the steepest of 2000 random directions 0.07 to 0.08. On a ravine of
  condition 20 the lowest point at distance 1 lies 48 degrees off -grad.
Claim 2: too large overshoots or diverges, too small is slow and stays in poor minima.
  Holds when the loss is a quadratic: its edge is at 1.000 of 2 / lambda; 69 steps at
  0.945 of it, 6814 at 0.01. A network on digits (n = 5 seeds) is best at 6 to 11 times
  2 / lambda of its start. On Rastrigin (n = 400 starts) all rates below the edge end in
  the same minima (mean 11.4), 2.5 times the edge in better ones (3.7).
Claim 3: at a constant rate the step still shrinks near a minimum.
  Holds when the gradient is exact: last steps / first 5e-24 on a quadratic, with noise
  0.07 to 0.10; on digits 0.001 to 0.002, with mini-batches 0.007 to 0.009 (n = 5).

Measured by `python experiments/learning_rate.py`, 143 s on two cores.

Usage:
  python experiments/learning_rate.py [--seeds=5] [--workdir=DIR] [--quick]
"""

import functools
import sys

import _experiment
import _learning_rate_figures as figures
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import gdjax as gd

CONDITION = 20.0  # of the ravine: its walls are so much steeper than its floor
STEPS = 1000  # whose lengths are measured
SHOWN = {  # the rates that are drawn, as shares of the edge 2 / lambda
    "too small": 0.05,
    "right": 0.5,
    "too large": 0.97,
    "divergent": 1.03,
}


def measure(experiment: _experiment.Experiment) -> None:
    with jax.enable_x64(True):
        circles = steepest(experiment)
        valley = ravine(experiment)
        minima = poor_minima(experiment)
        lengths = {k: steps_of_a_quadratic(k) for k in experiment.seeds}
    for seed in experiment.progress(experiment.seeds, "steps of a network"):
        lengths[seed] |= steps_of_the_network(seed)
    network = digits(experiment)
    verdicts(experiment, circles, valley, minima, lengths, network)
    experiment.figure("steepest_descent", figures.circles(circles))
    experiment.figure(
        "learning_rate", figures.rates(SHOWN, valley, minima, lengths[0], network)
    )


def steepest(experiment):
    """How far f falls around a point of the ravine, and of a network, by direction."""
    problem = gd.problems.ravine(CONDITION)
    x, g = problem.init, jax.grad(problem.fun)(problem.init)
    turns = np.linspace(-180, 180, 3601)  # degrees away from -g
    angles = np.arctan2(-g[1], -g[0]) + np.radians(turns)
    directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    radii = np.geomspace(1e-4, 1, 41)
    fall = lambda r, d: problem.fun(x) - problem.fun(x + r * d)
    falls = jax.jit(jax.vmap(jax.vmap(fall, (None, 0)), (0, None)))(radii, directions)
    best = np.abs(turns[np.argmax(falls, axis=1)])
    experiment.table("steepest", {"radius": radii, "degrees_to_best": best})

    count, slopes, shares = 200 if experiment.quick else 2000, [], []
    for seed in experiment.progress(experiment.seeds, "directions of a network"):
        loss, params, train = network(seed)
        x, unravel = ravel_pytree(params)
        f = lambda x: loss(unravel(x), train)
        g = jax.grad(f)(x)
        others = jax.random.normal(jax.random.key(seed), (count, len(x)), x.dtype)
        directions = jnp.concatenate([-g[None], others])
        directions /= jnp.linalg.norm(directions, axis=1, keepdims=True)
        slope = lambda d: (f(x + 1e-6 * d) - f(x - 1e-6 * d)) / 2e-6
        found = jax.jit(functools.partial(jax.lax.map, slope))(directions)
        slopes.append(float(found[0] / jnp.linalg.norm(g)))
        shares.append(float(jnp.abs(found[1:]).max() / -found[0]))
    return radii, best, turns, np.asarray(falls), slopes, shares


def ravine(experiment):
    """A quadratic, of which all is known: its edge, the steps it takes, its paths."""
    problem = gd.problems.ravine(CONDITION)
    edge, start = 2 / CONDITION, problem.fun(problem.init)
    minimize = functools.partial(gd.minimize, problem.fun, problem.init)

    end = jax.jit(lambda rate: minimize(gd.sgd(rate), num_steps=3000).value)
    low, high = edge / 2, edge * 2
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if end(middle) < start else (low, middle)

    shares = np.append(np.geomspace(0.01, 0.9, 40), np.linspace(0.91, 0.995, 18))
    most = 1500 if experiment.quick else 15_000

    def path(rate, num_steps):
        return minimize(gd.sgd(rate), num_steps=num_steps, trajectory=True).trajectory

    def steps_to_come_close(rate):
        close = jax.vmap(problem.fun)(path(rate, most)) < 1e-6 * start
        return jnp.where(close.any(), jnp.argmax(close), most)

    steps = np.asarray(jax.jit(jax.vmap(steps_to_come_close))(shares * edge))
    experiment.table("ravine", {"rate_over_edge": shares, "steps": steps})
    paths = {name: np.asarray(path(share * edge, 60)) for name, share in SHOWN.items()}
    return problem, low / edge, shares, steps, paths


def poor_minima(experiment):
    """Where descent on Rastrigin's function ends, from many starts, by rate."""
    problem = gd.problems.rastrigin()
    edge = 2 / float(problem.hessian[0, 0])
    count = 50 if experiment.quick else 400
    starts = jax.random.uniform(jax.random.key(0), (count, 2), minval=-4, maxval=4)
    shares = np.geomspace(0.02, 50, 12 if experiment.quick else 35)

    def end(share, start):
        minimize = functools.partial(gd.minimize, problem.fun)
        there = minimize(start, gd.sgd(share * edge), num_steps=400)
        return minimize(there.params, gd.sgd(0.1 * edge), num_steps=200).value

    values = jax.jit(jax.vmap(jax.vmap(end, (None, 0)), (0, None)))(shares, starts)
    means = np.asarray(values.mean(1))
    experiment.table("rastrigin", {"rate_over_edge": shares, "mean": means})
    return shares, means


def steps_of_a_quadratic(seed):
    """Lengths of its steps at half the edge, with noise in the gradient and without."""
    lengths, key = {}, jax.random.key(seed)
    for label, variance in (("quadratic", 0.0), ("quadratic, noisy", 1.0)):
        problem = gd.problems.noisy_quadratic([1.0, CONDITION], [variance] * 2)
        grad = lambda x, step: jax.grad(problem.fun)(x, jax.random.fold_in(key, step))
        fun = lambda x: problem.fun(x, key)
        lengths[label] = step_lengths(fun, problem.init, 1 / CONDITION, grad)
    return lengths


def network(seed):
    """A small tanh network: its loss of parameters and batch, a start, the data."""
    inputs, targets = gd.data.load("digits").train
    inputs = jnp.asarray(inputs, float)  # f64 under x64
    model = gd.models.mlp(
        [32, 10],
        activation="tanh",
        initializer="xavier_normal",
        param_dtype=inputs.dtype,
    )
    params, model_state = model.init(jax.random.key(seed), inputs[:1])
    loss_fn = gd.training.supervised(model, "cross_entropy")
    return gd.training.freeze(loss_fn, model_state), params, (inputs, targets)


def sharpness(loss, params, batch, num_steps=60):
    """The largest eigenvalue of the Hessian, by the power method."""
    x, unravel = ravel_pytree(params)
    grad = jax.grad(lambda x: loss(unravel(x), batch))

    def multiply(_, v):
        return jax.jvp(grad, (x,), (v / jnp.linalg.norm(v),))[1]

    v = jax.random.normal(jax.random.key(0), x.shape)
    v = jax.lax.fori_loop(0, num_steps, multiply, v)
    return jnp.linalg.norm(v)


def digits(experiment):
    """Batch descent of the network at rates around 2 / lambda of its start."""
    shares = 2.0 ** np.arange(-8, 6.1, 2 if experiment.quick else 0.5)
    num_steps = 50 if experiment.quick else 300
    table = []
    for seed in experiment.progress(experiment.seeds, "rates of a network"):
        loss, params, train = network(seed)
        fun = lambda params: loss(params, train)
        curvature = jax.jit(functools.partial(sharpness, loss))
        edge, start = 2 / float(curvature(params, train)), float(fun(params))

        @jax.jit
        def train_at(rate):
            tx = gd.sgd(rate)
            found = gd.minimize(fun, params, tx, num_steps=num_steps, trajectory=True)
            highest = jax.lax.map(fun, found.trajectory).max()
            return found.value, highest, sharpness(loss, found.params, train)

        for share in shares:
            end, highest, curvature_at_end = map(float, train_at(share * edge))
            entry = {"seed": seed, "rate_over_edge": share, "rate": share * edge}
            entry |= {"start": start, "end": end, "highest": highest}
            table.append({**entry, "curvature_at_end": curvature_at_end})
    experiment.table("digits", table)
    by_seed = lambda name: np.array([r[name] for r in table]).reshape(-1, len(shares))
    columns = {name: by_seed(name) for name in table[0]}
    rises = columns["highest"] > 1.001 * columns["start"]
    first_rise = [shares[row].min(initial=np.inf) for row in rises]
    return shares, columns, first_rise


def steps_of_the_network(seed):
    """Lengths of its steps at half the edge, by all examples and by mini-batches."""
    loss, params, train = network(seed)
    rate = 1 / float(jax.jit(functools.partial(sharpness, loss))(params, train))
    source = gd.data.source(jax.tree.map(np.asarray, train), 32, seed=seed)
    batches = [source.batch(step) for step in range(STEPS + 1)]
    batches = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
    gradients = {
        "digits, all examples": lambda p, step: jax.grad(loss)(p, train),
        "digits, 32 examples": lambda p, step: jax.grad(loss)(
            p, jax.tree.map(lambda x: jnp.asarray(x)[step], batches)
        ),
    }
    fun = lambda p: loss(p, train)
    return {k: step_lengths(fun, params, rate, g) for k, g in gradients.items()}


def step_lengths(fun, params, rate, grad_fn):
    options = {"num_steps": STEPS, "trajectory": True, "grad_fn": grad_fn}
    path = gd.minimize(fun, params, gd.sgd(rate), **options).trajectory
    # One column for each weight: a step has no other coordinate.
    leaves = [x.reshape(STEPS + 1, -1) for x in jax.tree.leaves(path)]
    return np.linalg.norm(np.diff(np.concatenate(leaves, 1), axis=0), axis=1)


def verdicts(experiment, circles, valley, minima, lengths, network):
    """Claims 1 to 3, by the numbers."""
    radii, best, _, _, slopes, others = circles
    near, far = best[0], best[-1]
    short = np.allclose(slopes, -1, atol=1e-6) and max(others) < 1 and near < 0.1 < far
    experiment.verdict(
        1,
        "the opposite of the gradient points to steepest descent",
        "holds when the step is short: farther away the lowest point lies elsewhere"
        if short
        else "does not hold",
        {
            "ravine, degrees from -g to the lowest point 1e-4 away": near,
            "ravine, the same 1 away": far,
            "network, slope along -g / |g|": slopes,
            "network, steepest of the random directions / |g|": others,
        },
    )
    _, edge, shares, steps, _ = valley
    rates, ends = minima
    below = ends[rates < 1]
    network_rates, columns, first_rise = network
    best_of = np.arange(len(first_rise)), columns["end"].argmin(1)
    survived = network_rates[best_of[1]]
    # In units of 2 / rate, of what would be stable there.
    flatness = columns["rate"][best_of] * columns["curvature_at_end"][best_of] / 2
    holds = {
        "the ravine has its edge at 2 / lambda": abs(edge - 1) < 1e-3,
        "and is slow far below it": steps[0] > 10 * steps.min(),
        "the network is best beyond its edge": min(survived) > 1,
        "where it has come to places that are flat enough": max(flatness) < 1,
        "no rate below the edge leaves a poor minimum": np.ptp(below) < 1e-6,
        "and one beyond it does": ends.min() < 0.5 * below[0],
    }
    experiment.verdict(
        2,
        "too large overshoots or diverges, too small is slow and stays in poor minima",
        f"holds when the loss is a quadratic: {', '.join(holds)}"
        if all(holds.values())
        else "does not hold: not " + ", not ".join(k for k in holds if not holds[k]),
        {
            "ravine, edge / (2 / lambda)": edge,
            "ravine, fewest steps to 1e-6 of the start": int(steps.min()),
            "ravine, rate / edge there": shares[steps.argmin()],
            "ravine, steps at 0.01 of the edge": int(steps[0]),
            "network, first rate / edge that raises the loss, by seed": first_rise,
            "network, rate / edge with the lowest loss, by seed": survived,
            "network, curvature / (2 / rate) at its end, by seed": flatness,
            "Rastrigin, mean end at every rate below the edge": below[0],
            "Rastrigin, spread of it over these rates": np.ptp(below),
            "Rastrigin, lowest mean end": ends.min(),
            "Rastrigin, rate / edge there": rates[ends.argmin()],
        },
    )
    left = {
        name: [x[name][-20:].mean() / x[name][0] for x in lengths.values()]
        for name in lengths[0]
    }
    exact = ("quadratic", "digits, all examples")
    shrinks = all(max(left[name]) < 1e-2 for name in exact)
    stays = min(left["quadratic, noisy"]) > 1e-2
    experiment.verdict(
        3,
        "at a constant rate the step shrinks near a minimum, as the gradient does; the "
        "path lies in the plane of the weights",
        "holds when the gradient is exact: noise leaves steps of its own size (a path "
        "has no other coordinates than the weights, by its definition)"
        if shrinks and stays
        else "does not hold",
        {f"{name}, last steps / first, by seed": x for name, x in left.items()},
    )


if __name__ == "__main__":
    sys.exit(_experiment.main(measure, __doc__))
