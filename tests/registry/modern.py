"""Trust ratios, factored squares, and Adam's youngest descendants."""

import functools

import jax
import optax
from oracles import modern as oracles

import gdjax as gd
from registry.values import (
    ADAM,
    BAD_ADAM,
    NAN,
    NO_INTEGER,
    ONE_RATE,
    POSITIVE,
    RATE,
    SIZE,
    UNIT,
    entry,
)


def pair(make):
    """Prodigy with its two betas by name, from a start away from the parameters.

    The estimate of the distance has something to see where these stand still.
    """

    def build(
        learning_rate=1.0,
        b1=0.9,
        b2=0.999,
        beta3=0.999**0.5,
        eps=1e-8,
        estim_lr0=1e-6,
        estim_lr_coef=1.0,
        weight_decay=0.0,
        betas=None,
        **options,
    ):
        betas = (b1, b2) if betas is None else betas
        tx = make(
            *(learning_rate, betas, beta3, eps, estim_lr0, estim_lr_coef),
            *(weight_decay,),
            **options,
        )

        def init(params):
            tx.init(params)  # which refuses what it refuses
            return tx.init(jax.tree.map(lambda p: (1.5 * p).astype(p.dtype), params))

        return optax.GradientTransformationExtraArgs(init, tx.update)

    return build


NO_FUNCTION = (None, 0.5, "x")
DTYPE = (int, "x")
BETAS = dict(b1=UNIT, b2=UNIT)
PRODIGY = dict(
    learning_rate=0.3,
    b1=0.8,
    b2=0.95,
    beta3=0.9,
    eps=1e-2,
    estim_lr0=0.05,
    estim_lr_coef=0.7,
    weight_decay=0.1,
)
BAD_PRODIGY = dict(
    learning_rate=RATE,
    betas=((1.0, 0.9), (0.9, 1.0), (0.9, NAN), (0.9,), 0.9, "xy"),
    beta3=UNIT,
    eps=SIZE,
    estim_lr0=POSITIVE,
    estim_lr_coef=POSITIVE,
    weight_decay=SIZE,
)
ADEMAMIX = dict(b3=0.97, alpha=3.0, **ADAM)
BAD_ADEMAMIX = dict(b3=(1.0, -0.1, NAN, "x"), alpha=SIZE, mu_dtype=DTYPE, **BAD_ADAM)
ADOPT = dict(b1=0.8, b2=0.95, eps=0.3)
BAD_ADOPT = dict(eps=SIZE, mu_dtype=DTYPE, clip_value_fn=(0.5, "x"), **BETAS)
FACTORED = dict(
    min_dim_size_to_factor=(0, *NO_INTEGER),
    decay_rate=(-0.1, 1.1, NAN, "x"),
)
CHECKS = {
    "scale_by_trust_ratio": entry(
        gd.scale_by_trust_ratio,
        oracles.trust_ratio,
        dict(min_norm=1.5, trust_coefficient=0.3, eps=0.1),
        dict(min_norm=SIZE, trust_coefficient=SIZE, eps=SIZE),
    ),
    "lamb": entry(
        gd.lamb,
        oracles.lamb,
        dict(weight_decay=0.1, learning_rate=0.01, **ADAM),
        dict(learning_rate=RATE, weight_decay=SIZE, **BAD_ADAM),
        sign=-1,
        decays=True,
    ),
    "lars": entry(
        gd.lars,
        oracles.lars,
        dict(
            learning_rate=1.0,
            weight_decay=0.1,
            trust_coefficient=0.02,
            eps=0.1,
            momentum=0.8,
        ),
        dict(
            learning_rate=RATE,
            weight_decay=SIZE,
            trust_coefficient=SIZE,
            eps=SIZE,
            momentum=UNIT,
        ),
        sign=-1,
        decays=True,
    ),
    "scale_by_factored_rms": entry(
        functools.partial(gd.scale_by_factored_rms, min_dim_size_to_factor=2),
        oracles.square_rms,
        dict(decay_rate=0.6, epsilon=1e-2, step_offset=2.0),
        dict(epsilon=SIZE, step_offset=SIZE, decay_rate_fn=NO_FUNCTION, **FACTORED),
    ),
    "adafactor": entry(
        functools.partial(gd.adafactor, min_dim_size_to_factor=2, dtype_momentum=None),
        oracles.adafactor,
        dict(
            learning_rate=0.1,
            decay_rate=0.6,
            eps=1e-2,
            clipping_threshold=0.5,
            momentum=0.8,
            weight_decay_rate=0.01,
        ),
        dict(
            learning_rate=RATE[:3],
            decay_rate=(-0.1, 1.1, NAN, "x"),
            decay_offset=SIZE,
            min_dim_size_to_factor=(0, *NO_INTEGER),
            eps=SIZE,
            clipping_threshold=(0.0, -1.0, NAN),
            momentum=UNIT,
            weight_decay_rate=SIZE[:3],
        ),
        sign=-1,
        decays=True,
    ),
    "scale_by_ademamix": entry(
        gd.scale_by_ademamix, oracles.ademamix, ADEMAMIX, BAD_ADEMAMIX
    ),
    "ademamix": entry(
        gd.ademamix,
        oracles.ademamix_step,
        dict(weight_decay=0.1, **ONE_RATE, **ADEMAMIX),
        dict(learning_rate=RATE, weight_decay=SIZE, **BAD_ADEMAMIX),
        sign=-1,
        decays=True,
    ),
    "scale_by_adopt": entry(gd.scale_by_adopt, oracles.adopt, ADOPT, BAD_ADOPT),
    "adopt": entry(
        gd.adopt,
        oracles.adopt_step,
        dict(**ONE_RATE, **ADOPT),
        dict(learning_rate=RATE, **BAD_ADOPT),
        sign=-1,
    ),
    "scale_by_prodigy": entry(
        functools.partial(
            pair(gd.scale_by_prodigy), safeguard_warmup=True, bias_correction=False
        ),
        functools.partial(oracles.prodigy_direction, safeguard=True, corrects=False),
        PRODIGY,
        BAD_PRODIGY,
        decays=True,
    ),
    "prodigy": entry(
        pair(gd.prodigy), oracles.prodigy, PRODIGY, BAD_PRODIGY, sign=-1, decays=True
    ),
    "mars": entry(
        gd.mars,
        oracles.mars,
        dict(gamma=0.2, b1=0.8),
        dict(gamma=SIZE, b1=UNIT),
    ),
    "mars_adamw": entry(
        gd.mars_adamw,
        oracles.mars_adamw,
        dict(weight_decay=0.1, gamma=0.2, b1=0.8, b2=0.95, eps=1e-2, **ONE_RATE),
        dict(learning_rate=RATE, weight_decay=SIZE, gamma=SIZE, eps=SIZE, **BETAS),
        sign=-1,
        decays=True,
    ),
    "grokfast": entry(
        gd.grokfast,
        oracles.grokfast,
        dict(alpha=0.8, lamb=3.0),
        dict(alpha=UNIT, lamb=SIZE),
    ),
    "corrected_weight_decay": entry(
        gd.corrected_weight_decay,
        oracles.corrected_decay,
        dict(weight_decay=0.1, learning_rate=0.1, max_learning_rate=0.3),
        dict(weight_decay=SIZE, learning_rate=RATE, max_learning_rate=POSITIVE[:4]),
        decays=True,
    ),
    "adamc": entry(
        gd.adamc,
        oracles.adamc,
        dict(weight_decay=0.1, **ONE_RATE, **ADAM),
        dict(
            learning_rate=RATE,
            weight_decay=SIZE,
            max_learning_rate=POSITIVE[:4],
            **BAD_ADAM,
        ),
        sign=-1,
        decays=True,
    ),
}
