"""What comes from Optax by `lawful`; `docs/laws.md` says what of it falls short."""

import functools
import warnings

import jax
import jax.numpy as jnp
import optax
from oracles import lifted as oracles

import gdjax as gd
from registry.values import (
    ADAM,
    BAD_ADAM,
    INF,
    NAN,
    NO_INTEGER,
    ONE_RATE,
    OPEN,
    POSITIVE,
    RATE,
    SIZE,
    UNIT,
    entry,
)

FINITE = (NAN, INF, None, "x")
WORD = ("another", None)
BETAS = ((0.9, 1.0), (NAN, 0.9), 3)
COUNT = (0, *NO_INTEGER)


def fed(make, value_fn=None, factor=1):
    """`make` for those that ask for the loss: `factor` |g|, g the first number of all.

    `value_fn` of parameters has the gradient `grad` where a line search asks for it.
    """

    @functools.wraps(make)
    def factory(**numbers):
        tx = make(**numbers)

        def update(g, state, params=None, **extra):
            numbers = [x.ravel()[0] for x in jax.tree.leaves(g) if x.size]
            extra["value"] = factor * abs(numbers[0]) if numbers else 0.0
            if value_fn:
                extra.update(grad=g, value_fn=value_fn, value=value_fn(params))
            return tx.update(g, state, params, **extra)

        return optax.GradientTransformationExtraArgs(tx.init, update)

    return factory


def half_square(params):
    squares = [jnp.sum(abs(x) ** 2) / 2 for x in jax.tree.leaves(params)]
    return sum(x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in squares)


def searched(make):
    """A line search after gradient descent, on |x|^2 / 2."""
    return fed(lambda **n: gd.chain(gd.scale(-1.0), make(**n)), half_square)


def optimistic_adam(
    rate, optimism, b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0, learning_rate=None
):
    """By the name `rate` no schedule is tried: Optax takes none. And it warns."""
    rate = rate if learning_rate is None else learning_rate
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return gd.optimistic_adam(rate, optimism, b1, b2, eps, eps_root)


def sm3(rate, momentum=0.9, learning_rate=None):
    """As `optimistic_adam`."""
    return gd.sm3(rate if learning_rate is None else learning_rate, momentum)


def noisy_sgd(learning_rate, eta=0.0, gamma=0.55, key=0):
    """Without noise, so that a zero gradient moves nothing."""
    return gd.noisy_sgd(learning_rate, eta, gamma, key)


EPS = dict(eps=1e-2)
FAST = ADAM | dict(b2=0.7)  # 1 - b2^t loses digits in f32 where b2 is near 1
OPTIMISTIC = dict(alpha=0.7, beta=0.4)
POLYAK = dict(max_learning_rate=0.5, f_min=-0.2, eps=0.1)
BAD_POLYAK = dict(max_learning_rate=(0.0, -1.0, NAN), f_min=FINITE, eps=SIZE)
BAD_SEARCH = dict(
    max_learning_rate=(0.0, NAN), slope_rtol=SIZE, increase_factor=(0.0, NAN, None)
)
BACKTRACKING = functools.partial(
    gd.scale_by_backtracking_linesearch, max_backtracking_steps=5
)
ZOOM = functools.partial(gd.scale_by_zoom_linesearch, max_linesearch_steps=5)
RATED = dict(learning_rate=RATE)
DECAYED = dict(learning_rate=RATE, weight_decay=SIZE[:3])
step = functools.partial(entry, sign=-1)
CHECKS = {
    "apply_every": entry(
        functools.partial(gd.apply_every, k=3), oracles.apply_every, {}, dict(k=COUNT)
    ),
    "normalize_by_update_norm": entry(
        gd.normalize_by_update_norm,
        oracles.by_update_norm,
        dict(scale_factor=2.0, **EPS),
        dict(scale_factor=POSITIVE, eps=SIZE),
    ),
    "scale_by_param_block_norm": entry(
        gd.scale_by_param_block_norm,
        oracles.by_block_norm,
        dict(min_scale=2.5),
        dict(min_scale=SIZE),
    ),
    "scale_by_param_block_rms": entry(
        gd.scale_by_param_block_rms,
        oracles.by_block_rms,
        dict(min_scale=1.1),
        dict(min_scale=SIZE),
    ),
    "scale_by_optimistic_gradient": entry(
        gd.scale_by_optimistic_gradient,
        oracles.optimistic,
        OPTIMISTIC,
        dict(alpha=SIZE, beta=SIZE),
    ),
    "optimistic_gradient_descent": step(
        gd.optimistic_gradient_descent,
        oracles.optimistic_descent,
        OPTIMISTIC | ONE_RATE,
        dict(alpha=SIZE, beta=SIZE) | RATED,
    ),
    "optimistic_adam_v2": step(
        gd.optimistic_adam_v2,
        oracles.optimistic_adam,
        OPTIMISTIC | ONE_RATE | ADAM,
        dict(alpha=SIZE, beta=SIZE, mu_dtype=(int,)) | RATED | BAD_ADAM,
    ),
    "optimistic_adam": step(
        optimistic_adam,
        oracles.optimistic_adam_v1,
        dict(rate=0.1, optimism=0.2) | ADAM,
        dict(optimism=SIZE[:3], learning_rate=SIZE[:3]) | BAD_ADAM,
    ),
    "scale_by_acprop": entry(gd.scale_by_acprop, oracles.acprop, ADAM, BAD_ADAM),
    "acprop": step(
        gd.acprop,
        oracles.acprop_step,
        dict(weight_decay=0.1) | ONE_RATE | ADAM,
        BAD_ADAM | DECAYED,
        decays=True,
    ),
    "scale_by_simplified_ademamix": entry(
        gd.scale_by_simplified_ademamix,
        oracles.simplified_ademamix,
        dict(alpha=0.5) | FAST,
        dict(alpha=SIZE) | BAD_ADAM,
    ),
    "simplified_ademamix": step(
        gd.simplified_ademamix,
        oracles.simplified_ademamix_step,
        dict(alpha=0.5, weight_decay=0.1) | ONE_RATE | FAST,
        dict(alpha=SIZE) | BAD_ADAM | DECAYED,
        decays=True,
    ),
    "scale_by_sm3": entry(
        gd.scale_by_sm3,
        oracles.sm3,
        dict(b1=0.8) | EPS,
        dict(b1=UNIT, b2=(1.5, -0.1, NAN), eps=SIZE),
    ),
    "sm3": step(
        sm3,
        oracles.sm3_step,
        dict(rate=0.1, momentum=0.8),
        dict(momentum=UNIT, learning_rate=SIZE[:3]),
    ),
    "fromage": step(
        gd.fromage,
        oracles.fromage,
        dict(min_norm=0.3, learning_rate=0.9),
        dict(min_norm=SIZE) | RATED,
        decays=True,
    ),
    "noisy_sgd": step(
        noisy_sgd,
        oracles.gradient_descent,
        ONE_RATE,
        dict(eta=SIZE, gamma=SIZE, key=(-1, 0.5, True)) | RATED,
    ),
    "scale_by_polyak": entry(
        fed(gd.scale_by_polyak), oracles.polyak, POLYAK, dict(variant=WORD) | BAD_POLYAK
    ),
    "polyak_sgd": step(
        fed(gd.polyak_sgd),
        oracles.polyak_sgd,
        dict(scaling=0.9) | POLYAK,
        dict(scaling=RATE, variant=WORD) | BAD_POLYAK,
    ),
    "dog": step(
        functools.partial(gd.dog, init_step=("heuristic", 1.0)),
        oracles.dog,
        ONE_RATE | EPS,
        dict(init_step=(("distances", 1e-3), ("distance", -1.0)), eps=SIZE) | DECAYED,
    ),
    "dowg": step(
        gd.dowg,
        oracles.dowg,
        dict(init_estim_sq_dist=1.0) | ONE_RATE | EPS,
        dict(init_estim_sq_dist=POSITIVE[:4], eps=SIZE) | DECAYED,
    ),
    "scale_by_distance_over_gradients": entry(
        functools.partial(gd.scale_by_distance_over_gradients, param_dtype=None),
        oracles.distance_over_gradients,
        dict(reps_rel=0.01, global_scale=0.9) | EPS,
        dict(reps_rel=POSITIVE, global_scale=SIZE, eps=SIZE, param_dtype=(int,)),
    ),
    "scale_by_madgrad": step(
        gd.scale_by_madgrad,
        oracles.madgrad,
        dict(momentum=0.8) | ONE_RATE | EPS,
        dict(momentum=UNIT, eps=SIZE) | RATED,
    ),
    "madgrad": step(
        gd.madgrad,
        oracles.madgrad,
        dict(momentum=0.8, weight_decay=0.1) | ONE_RATE | EPS,
        dict(momentum=UNIT, eps=SIZE) | DECAYED,
        decays=True,
    ),
    "scale_by_cocob": step(
        gd.scale_by_cocob,
        oracles.cocob,
        dict(alpha=20.0, eps=0.1),
        dict(alpha=SIZE, eps=SIZE),
    ),
    "cocob": step(
        gd.cocob,
        oracles.cocob,
        dict(alpha=20.0, weight_decay=0.1) | ONE_RATE | EPS,
        dict(alpha=SIZE, eps=SIZE) | DECAYED,
        decays=True,
    ),
    "dadapt_adamw": step(
        gd.dadapt_adamw,
        oracles.dadapt_adamw,
        dict(estim_lr0=1e-3, weight_decay=0.1) | ONE_RATE | EPS,
        dict(estim_lr0=POSITIVE, betas=BETAS, eps=SIZE) | DECAYED,
        decays=True,
    ),
    "momo": step(
        fed(gd.momo),
        oracles.momo,
        dict(beta=0.8, lower_bound=0.01, weight_decay=0.1) | ONE_RATE,
        dict(beta=UNIT, lower_bound=FINITE) | DECAYED,
        decays=True,
    ),
    "momo_adam": step(
        fed(gd.momo_adam, factor=3),
        oracles.momo_adam,
        dict(b1=0.8, b2=0.7, lower_bound=0.01, weight_decay=0.1) | ONE_RATE | EPS,
        dict(b1=UNIT, b2=UNIT, lower_bound=FINITE, eps=SIZE) | DECAYED,
        decays=True,
    ),
    "scale_by_lbfgs": entry(
        functools.partial(gd.scale_by_lbfgs, memory_size=2),
        None,
        {},
        dict(memory_size=COUNT),
    ),
    "lbfgs": step(
        fed(functools.partial(gd.lbfgs, memory_size=2), half_square),
        None,
        ONE_RATE,
        dict(learning_rate=RATE[:3], memory_size=COUNT),
    ),
    "scale_by_backtracking_linesearch": step(
        searched(BACKTRACKING),
        None,
        {},
        dict(max_backtracking_steps=COUNT, decrease_factor=OPEN, atol=SIZE, rtol=SIZE)
        | BAD_SEARCH,
    ),
    "scale_by_zoom_linesearch": step(
        searched(ZOOM),
        None,
        {},
        dict(
            max_linesearch_steps=COUNT,
            curv_rtol=(0.0, NAN, None),
            stepsize_precision=SIZE,
            tol=SIZE,
            approx_dec_rtol=SIZE[:3],
            initial_guess_strategy=WORD,
        )
        | BAD_SEARCH,
    ),
}
# A link, a step with norms over all leaves, a state of another shape than parameters.
SHORT = {"scale_by_acprop"}
