"""Ten thousand zero gradients leave f16 and bf16 parameters bit for bit as they are."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import QUICK
from registry import CHECKS

import gdjax as gd

NUM_STEPS = 10_000
MOVE = {
    "add_l1_subgradient": "it is a gradient of its own",
    "dadapt_adamw": "NaN before the first gradient, see docs/laws.md",
    "fromage": "every step shrinks the parameters",
    "keep_params_nonnegative": "negative parameters become 0",
    "project": "parameters are led into the set",
    "proximal_l1": "every step shrinks the parameters",
    "scale_by_yogi": "its mean starts at 1e-6, see docs/laws.md",
    "yogi": "as scale_by_yogi",
}


def built(name):
    """With its defaults, among which eps may underflow in f16; without decay."""
    check = CHECKS[name]
    known = inspect.signature(check["make"]).parameters
    needed = {k: p.default is inspect.Parameter.empty for k, p in known.items()}
    numbers = {k: v for k, v in check["numbers"].items() if needed.get(k, True)}
    decays = {k: 0.0 for k in ("weight_decay", "weight_decay_rate") if k in known}
    tx = check["make"](**{**numbers, **decays})
    return tx if check.get("sign") == -1 else gd.chain(tx, gd.scale_by_learning_rate(1))


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in CHECKS if name not in MOVE])
def test_parameters_stay(name):
    rng = np.random.default_rng(0)
    params = {
        "half": jnp.asarray(rng.normal(size=16), jnp.float16),
        "brain": jnp.asarray(rng.normal(size=16), jnp.bfloat16),
    }
    tx, zero = built(name), jax.tree.map(jnp.zeros_like, params)

    def step(carry, _):
        params, state = carry
        updates, state = tx.update(zero, state, params)
        return (gd.apply_updates(params, updates), state), None

    @jax.jit(compiler_options=QUICK)
    def run(params):
        start = params, tx.init(params)
        return jax.lax.scan(step, start, length=NUM_STEPS)[0][0]

    after = run(params)
    for key, p in params.items():
        np.testing.assert_array_equal(
            np.asarray(after[key]).view(np.uint16), np.asarray(p).view(np.uint16)
        )
