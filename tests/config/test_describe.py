"""Tables of calls and of states: each line, and sums against the real state."""

import collections

import jax
import jax.numpy as jnp
import optax
import pytest

import gdjax as gd

RATE = {
    "name": "warmup_cosine_decay_schedule",
    "init_value": 0.0,
    "peak_value": 0.1,
    "warmup_steps": 2,
    "decay_steps": 9,
}
CLIP = {"name": "clip_by_global_norm", "max_norm": 1.0}
ADAMW = {
    "name": "adamw",
    "learning_rate": RATE,
    "weight_decay": 1.0,
    "mask": {"function": "decay_mask"},
}
SGD = {"name": "sgd", "learning_rate": 0.5}
SGD_DEFAULTS = "momentum=None, nesterov=False, accumulator_dtype=None"
MLP = {
    f"hidden_{i}": {"kernel": jnp.ones((8, 8)), "bias": jnp.ones(8)} for i in range(3)
}


def cells(text):
    """The lines of a table: indentation, and what is between two spaces or more."""
    lines = []
    for line in text.split("\n"):
        depth = (len(line) - len(line.lstrip())) // 2
        lines.append((depth, [x.strip() for x in line.split("  ") if x.strip()]))
    return lines


def test_the_calls_of_a_spec():
    spec = {"name": "swa", "start_step": 100, "inner": [CLIP, ADAMW]}
    assert cells(gd.describe(spec)) == [
        (0, ["call", "given", "default"]),
        (0, ["swa", "start_step=100", "every=1"]),
        (1, ["inner: chain"]),
        (2, ["clip_by_global_norm", "max_norm=1.0"]),
        (
            2,
            [
                "adamw",
                "weight_decay=1.0",
                "b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0, mu_dtype=None, "
                "nesterov=False",
            ],
        ),
        (
            3,
            [
                "learning_rate: warmup_cosine_decay_schedule",
                "init_value=0.0, peak_value=0.1, warmup_steps=2, decay_steps=9",
                "end_value=0.0, exponent=1.0",
            ],
        ),
        (3, ["mask: decay_mask (function)"]),
    ]


def test_groups_lists_of_schedules_and_what_is_built_already():
    joined = {"name": "join_schedules", "boundaries": [5], "schedules": [RATE, RATE]}
    spec = {
        "groups": [
            ["bias$", {**SGD, "learning_rate": joined}],
            ["^head", [gd.sgd(0.1), {"name": "zero_nans"}]],
            ["", {**SGD, "learning_rate": jnp.sin}],
        ]
    }
    rate = "init_value=0.0, peak_value=0.1, warmup_steps=2, decay_steps=9"
    end = "end_value=0.0, exponent=1.0"
    name = "warmup_cosine_decay_schedule"
    assert cells(gd.describe(spec)) == [
        (0, ["call", "given", "default"]),
        (0, ["partition_by_path"]),
        (1, ["groups 'bias$': sgd", SGD_DEFAULTS]),
        (2, ["learning_rate: join_schedules", "boundaries=[5]"]),
        (3, [f"schedules 0: {name}", rate, end]),
        (3, [f"schedules 1: {name}", rate, end]),
        (1, ["groups '^head': chain"]),
        (2, ["a transformation"]),
        (2, ["zero_nans (optax)"]),
        (1, ["groups '': sgd", "learning_rate=sin", SGD_DEFAULTS]),
    ]


def test_columns_are_aligned():
    lines = gd.describe([CLIP, SGD]).split("\n")
    assert lines == [
        "call                   given              default",
        "chain",
        "  clip_by_global_norm  max_norm=1.0",
        f"  sgd                  learning_rate=0.5  {SGD_DEFAULTS}",
    ]


def test_the_errors_are_those_of_building():
    with pytest.raises(ValueError, match=r"^`optimizer\.0\.max_norm` must be finite"):
        gd.describe([{**CLIP, "max_norm": -1.0}])
    with pytest.raises(ValueError, match="^`optimizer` must describe a transformation"):
        gd.describe(RATE)
    with pytest.raises(ValueError, match="^`params` must be given"):
        gd.describe(gd.sgd(0.1))
    with pytest.raises(ValueError, match=r"^`optimizer\.groups\.0`: the pattern"):
        gd.describe({"groups": [["bais", SGD], ["", SGD]]}, MLP)


def test_the_states_of_an_mlp():
    tx = gd.swa(gd.chain(gd.clip_by_global_norm(1.0), gd.adam(0.1)), 5)
    text = gd.describe(tx, MLP)
    moments = ["6", "float32", "864", "3 x (8, 8), 3 x (8,)"]
    scalar = ["1", "float32", "4", "()"]
    count = ["1", "int32", "4", "()"]
    assert cells(text) == [
        (0, ["state", "leaves", "dtype", "bytes", "shapes"]),
        (0, ["SwaState.count", *count]),
        (0, ["SwaState.num_averaged", *count]),
        (0, ["SwaState.average", *moments]),
        (1, ["ClipByGlobalNormState.unclipped_norm", *scalar]),
        (1, ["ClipByGlobalNormState.clip_factor", *scalar]),
        (1, ["ClipByGlobalNormState.num_clipped", *count]),
        (1, ["ScaleByAdamState.count", *count]),
        (1, ["ScaleByAdamState.mu", *moments]),
        (1, ["ScaleByAdamState.nu", *moments]),
        (1, ["ScaleByAdamState.mu_weight", *scalar]),
        (1, ["ScaleByAdamState.nu_weight", *scalar]),
        (1, ["LearningRateState.learning_rate", *scalar]),
        (0, ["total", "27", "2,628", "12.2 bytes a parameter (216)"]),
        (0, ["Under the replicated plan every device holds all of it."]),
    ]
    state = tx.init(MLP)
    assert sum(x.nbytes for x in jax.tree.leaves(state)) == 2628
    assert len(jax.tree.leaves(state)) == 27
    # A spec and shapes give the same.
    adam = {"name": "adam", "learning_rate": 0.1}
    spec = {"name": "swa", "start_step": 5, "inner": [CLIP, adam]}
    assert gd.describe(spec, jax.eval_shape(lambda: MLP)) == text


def test_a_thousand_leaves_are_as_short_and_nothing_is_allocated():
    shapes = {
        f"layer_{i}": {
            "kernel": jax.ShapeDtypeStruct((10**6, 10**4 + i % 7), jnp.bfloat16),
            "bias": jax.ShapeDtypeStruct((1,), jnp.float32),
        }
        for i in range(500)
    }
    lines = cells(gd.describe(gd.adam(0.1), shapes))
    assert len(lines) == 9
    (mu,) = [line for _, line in lines if line[0] == "ScaleByAdamState.mu"]
    assert mu[1:3] == ["1000", "float32"]
    assert mu[4] == (
        "71 x (1000000, 10006), 71 x (1000000, 10005), 71 x (1000000, 10004), "
        "71 x (1000000, 10003) and 716 more"
    )


def test_named_tuples_of_parameters_and_odd_states():
    layer = collections.namedtuple("Layer", "w b")
    params = layer(jnp.ones((3, 3)), jnp.ones(3))
    tx = optax.named_chain(
        ("noise", optax.add_noise(0.1, 0.1, 1)), ("m", gd.trace(0.5))
    )
    assert [line[0] for _, line in cells(gd.describe(tx, params))] == [
        "state",
        "noise: AddNoiseState.count",
        "noise: AddNoiseState.rng_key",
        "m: TraceState.trace",
        "total",
        "Under the replicated plan every device holds all of it.",
    ]
    bare = optax.GradientTransformation(lambda p: [p.w, p.b], gd.sgd(0.1).update)
    lines = cells(gd.describe(bare, params))
    assert lines[1] == (0, ["state", "2", "float32", "48", "(3, 3), (3,)"])
    nothing = cells(gd.describe(gd.identity(), {}))
    assert nothing[1] == (0, ["total", "0", "0", "no parameters"])


def test_masked_leaves_count_for_nothing():
    tx = gd.partition_by_path([("bias", gd.scale_by_adam()), ("", gd.trace(0.5))])
    lines = {line[0]: line[1:] for _, line in cells(gd.describe(tx, MLP))}
    assert lines["ScaleByAdamState.mu"] == ["3", "float32", "96", "3 x (8,)"]
    assert lines["TraceState.trace"] == ["3", "float32", "768", "3 x (8, 8)"]
