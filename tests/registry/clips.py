"""Clips, and what takes parts of the gradient away or makes it of one length."""

import functools

import jax.numpy as jnp
import numpy as np
import optax
from oracles import clips as oracles

import gdjax as gd
from registry.values import INF, NAN, NO_COUNT, POSITIVE, SIZE, UNIT, entry


def zclip(z_threshold=2.5, decay=0.97, warmup_steps=18):
    """Two steps before the end of its warm-up: the laws run six."""
    tx = gd.zclip(z_threshold, decay, warmup_steps=warmup_steps)

    def init(params):
        state, seen = tx.init(params), oracles.SEEN
        like = jnp.full_like
        return state._replace(
            count=like(state.count, len(seen)),
            norm_mean=like(state.norm_mean, np.mean(seen)),
            norm_std=like(state.norm_std, np.std(seen)),
        )

    return optax.GradientTransformationExtraArgs(init, tx.update)


whole = lambda name, shape: tuple(range(len(shape)))
CHECKS = {
    "adaptive_grad_clip": entry(
        gd.adaptive_grad_clip,
        oracles.adaptive,
        dict(clipping=0.3, eps=1.5),
        dict(
            clipping=POSITIVE,
            eps=SIZE,
            axis=(1.5, "x", True, [0], (0, 1.5)),
            units=(0, "x", (0,)),
        ),
    ),
    "autoclip": entry(
        functools.partial(gd.autoclip, window=8),
        oracles.autoclip,
        dict(percentile=60.0),
        dict(percentile=(-1.0, 100.1, NAN, INF, "x"), window=(0, *NO_COUNT)),
    ),
    "centralize": entry(
        functools.partial(gd.centralize, units=whole),
        oracles.centralized,
        {},
        dict(units=(0, "x", (0,))),
    ),
    "clip": entry(
        gd.clip, oracles.by_value, dict(max_delta=0.3), dict(max_delta=POSITIVE)
    ),
    "clip_by_block_norm": entry(
        gd.clip_by_block_norm,
        oracles.by_block_norm,
        dict(max_norm=0.3),
        dict(max_norm=POSITIVE),
    ),
    "clip_by_block_rms": entry(
        gd.clip_by_block_rms,
        oracles.by_block_rms,
        dict(threshold=0.3),
        dict(threshold=POSITIVE),
    ),
    "clip_by_global_norm": entry(
        gd.clip_by_global_norm,
        oracles.by_global_norm,
        dict(max_norm=0.3),
        dict(max_norm=POSITIVE),
    ),
    "normalize_by_block_norm": entry(
        gd.normalize_by_block_norm, oracles.normalized, {}
    ),
    "zclip": entry(
        zclip,
        oracles.zclip,
        dict(z_threshold=1.5, decay=0.9),
        dict(z_threshold=POSITIVE, decay=UNIT, warmup_steps=(1, *NO_COUNT)),
    ),
}
# Dear to compile, or near another; tests/transforms/test_clips.py has them all.
LONG = {"adaptive_grad_clip", "clip_by_block_norm", "normalize_by_block_norm"}
