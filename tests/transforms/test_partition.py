"""Groups by path: who gets which parameter, and that each group is as if alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import gdjax as gd
from gdjax import tree
from gdjax.transforms import PartitionByPathState

PARAMS = {
    "embed": {"embedding": jnp.ones((3, 2))},
    "block": {"kernel": jnp.full((2, 2), 2.0), "bias": jnp.full(2, 3.0)},
    "out": {"kernel": jnp.full((2, 1), 4.0), "bias": jnp.full(1, 5.0)},
}
ONES = jax.tree.map(jnp.ones_like, PARAMS)


def moved(tx, params=PARAMS):
    """What a gradient of ones makes of each parameter, by its name."""
    grads = jax.tree.map(jnp.ones_like, params)
    updates, _ = tx.update(grads, tx.init(params), params)
    leaves = tree.named_leaves(updates).items()
    return {name: round(u.ravel()[0].item(), 6) for name, u in leaves}


def test_the_first_pattern_that_is_found_wins():
    groups = (("^out", gd.sgd(1)), ["bias$", gd.sgd(2)], ("", gd.sgd(3)))
    assert moved(gd.partition_by_path(groups)) == {
        "embed/embedding": -3,
        "block/kernel": -3,
        "block/bias": -2,
        "out/kernel": -1,
        "out/bias": -1,
    }


def test_a_pattern_is_searched_for_in_the_whole_path():
    groups = [(r"(?i)OUT/[kx]", gd.sgd(1)), ("d/e|k/b", gd.sgd(2)), (".", gd.sgd(3))]
    assert moved(gd.partition_by_path(groups)) == {
        "embed/embedding": -2,
        "block/kernel": -3,
        "block/bias": -2,
        "out/kernel": -1,
        "out/bias": -3,
    }


def test_directions_and_a_frozen_group():
    groups = [("^embed", optax.set_to_zero()), ("", gd.add_decayed_weights(1.0))]
    directions = moved(gd.partition_by_path(groups))
    assert list(directions.values()) == [4, 3, 0, 6, 5]  # sorted by name
    tx = gd.chain(gd.partition_by_path(groups), gd.scale_by_learning_rate(1.0))
    assert moved(tx) == {k: -v for k, v in directions.items()}


def test_each_group_is_as_if_alone():
    """State and steps, a norm over the whole group included, bit for bit."""
    heavy = gd.chain(gd.clip_by_global_norm(1.0), gd.adamw(0.1, weight_decay=0.1))
    light = optax.sgd(0.1, momentum=0.9)
    tx = gd.partition_by_path([("kernel|embedding", heavy), ("", light)])
    rng = np.random.default_rng(0)
    draw = lambda p: rng.normal(size=(10, *p.shape)).astype(np.float32)
    grads = jax.tree.map(draw, PARAMS)

    def run(tx, params, grads):
        def step(carry, g):
            params, state = carry
            updates, state = tx.update(g, state, params)
            return (optax.apply_updates(params, updates), state), updates

        carry = params, tx.init(params)
        return jax.jit(lambda g: jax.lax.scan(step, carry, g))(grads)

    (_, state), updates = run(tx, PARAMS, grads)
    assert isinstance(state, PartitionByPathState) and len(state.inner_states) == 2
    for i, (alone, biases) in enumerate([(heavy, False), (light, True)]):
        pick = lambda x: {
            name: leaf
            for name, leaf in tree.named_leaves(x).items()
            if not tree.is_absent(leaf) and name.endswith("bias") == biases  # noqa: B023
        }
        (_, want_state), want = run(alone, pick(PARAMS), pick(grads))
        got = pick(updates)
        assert got.keys() == want.keys() and len(got) in (2, 3)
        for name in want:
            np.testing.assert_array_equal(got[name], want[name])
        # The same leaves, if in another order.
        sums = lambda s: sorted(float(jnp.sum(x)) for x in jax.tree.leaves(s))
        assert sums(state.inner_states[i]) == sums(want_state)


@pytest.mark.parametrize("unseen", ["bias", "kernel", "both"])
def test_a_gradient_that_is_absent_skips_its_leaf(unseen):
    """With `optax.partition` and a label a leaf this raises."""
    gradient = {**ONES, "out": {**ONES["out"], unseen: None}}
    if unseen == "both":
        gradient["out"] = None
    tx = gd.partition_by_path([("bias$", gd.adam(0.1)), ("", gd.adamw(0.1))])
    updates, state = tx.update(gradient, tx.init(PARAMS), PARAMS)
    want, want_state = tx.update(ONES, tx.init(PARAMS), PARAMS)
    if unseen == "both":
        assert updates["out"] is None
    else:
        other = "kernel" if unseen == "bias" else "bias"
        assert updates["out"][unseen] is None
        assert updates["out"][other] == pytest.approx(want["out"][other])
    mus = [s.inner_states[0][0].mu for s in (state, want_state)]
    assert jax.tree.structure(mus[0]) == jax.tree.structure(mus[1])
    skipped = unseen in ("bias", "both")
    assert mus[0]["out"]["bias"].item() == (0 if skipped else mus[1]["out"]["bias"])
    assert updates["embed"]["embedding"] == pytest.approx(want["embed"]["embedding"])


def test_an_absent_gradient_of_one_group_does_not_reach_the_others():
    """Optax's own would not take it."""
    tx = gd.partition_by_path([("^out", optax.set_to_zero()), ("", optax.adam(0.1))])
    gradient = {**ONES, "out": {"kernel": None, "bias": None}}
    updates, _ = tx.update(gradient, tx.init(PARAMS), PARAMS)
    assert updates["out"] == gradient["out"]
    assert updates["block"]["bias"] == pytest.approx(-0.1, rel=1e-5)


def test_absent_parameters_belong_to_nobody():
    params = {"w": jnp.ones(2), "x": None, "y": optax.MaskedNode(), "b": jnp.ones(1)}
    tx = gd.partition_by_path([("w", gd.sgd(1.0)), ("b", gd.adam(1.0))])
    updates, state = tx.update(params, tx.init(params), params)
    assert updates["x"] is None and updates["y"] == optax.MaskedNode()
    assert updates["w"].tolist() == [-1, -1] and updates["b"] == pytest.approx(-1)
    masked = optax.MaskedNode()
    mu = state.inner_states[1][0].mu
    assert (mu["w"], mu["x"], mu["y"]) == (masked, None, masked)
    with pytest.raises(ValueError, match=r"the pattern 'x' gets no parameter"):
        gd.partition_by_path([("x", gd.sgd(1.0)), ("", gd.sgd(1.0))]).init(params)


def test_a_tree_without_parameters_needs_no_group():
    """What `masked` leaves for an inner transformation may be nothing at all."""
    tx = gd.partition_by_path([("kernel", gd.adam(0.1)), ("bias", gd.sgd(0.1))])
    empties: tuple = ({}, (), None, {"a": None}, {"a": optax.MaskedNode()})
    for empty in empties:
        assert tx.update(empty, tx.init(empty), empty)[0] == empty
    inside = gd.masked(tx, jax.tree.map(lambda _: False, PARAMS))
    assert set(moved(inside).values()) == {1}


def test_groups_inside_a_group():
    inner = gd.partition_by_path([("bias", gd.sgd(1)), ("", gd.sgd(2))])
    tx = gd.partition_by_path([("^block", inner), ("", gd.sgd(3))])
    assert list(moved(tx).values()) == [-1, -2, -3, -3, -3]


@pytest.mark.parametrize("pure", [False, True])
def test_an_nnx_module(pure):
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.dense = nnx.Linear(2, 2, rngs=rngs)
            self.value = nnx.List([nnx.LayerNorm(2, rngs=rngs)])

    params = nnx.state(Net(nnx.Rngs(0)), nnx.Param)
    params = nnx.to_pure_dict(params) if pure else params
    groups = [("dense/kernel$", gd.adamw(1)), ("value/0", gd.sgd(2)), ("", gd.sgd(3))]
    tx = gd.partition_by_path(groups)
    grads = jax.tree.map(jnp.ones_like, params)
    updates, _ = tx.update(grads, tx.init(params), params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    found = {k: u.ravel()[0].item() for k, u in tree.named_leaves(updates).items()}
    del found["dense/kernel"]  # AdamW's: random parameters decay
    assert found == {"dense/bias": -3, "value/0/scale": -2, "value/0/bias": -2}


def test_further_arguments_reach_every_group():
    plateau = gd.reduce_on_plateau(0.5, 1)
    groups = [("bias", plateau), ("out", optax.scale(1.0)), ("", gd.chain(plateau))]
    tx = gd.partition_by_path(groups)
    state, update = tx.init(PARAMS), jax.jit(tx.update)
    for _ in range(2):
        updates, state = update(ONES, state, value=1.0, grad=None, unknown=2)
    first = {k: u.ravel()[0] for k, u in tree.named_leaves(updates).items()}
    assert list(first.values()) == [0.5, 0.5, 0.5, 0.5, 1]
    said = gd.metrics(state)
    assert set(said) == {
        "inner_states/0/plateau_scale",
        "inner_states/2/0/plateau_scale",
    }


def test_an_average_of_one_group():
    tx = gd.partition_by_path([("bias", gd.swa(gd.sgd(1.0), 0)), ("", gd.sgd(1.0))])
    params, state, update = PARAMS, tx.init(PARAMS), jax.jit(tx.update)
    for _ in range(3):
        updates, state = update(ONES, state, params)
        params = optax.apply_updates(params, updates)
    average = gd.averaged_params(state, params)
    assert average["out"]["bias"] == 5 - 2 and params["out"]["bias"] == 5 - 3
    np.testing.assert_array_equal(average["out"]["kernel"], params["out"]["kernel"])


def error(groups, params=PARAMS):
    with pytest.raises((ValueError, TypeError)) as raised:
        gd.partition_by_path(groups).init(params)
    return str(raised.value)


def test_a_parameter_that_nothing_matches():
    assert error([("bias", gd.sgd(1.0)), ("^out", gd.sgd(1.0))]) == (
        "parameter `block/kernel`: no pattern of ['bias', '^out'] is found in this "
        'path; a last group with the pattern "" takes the rest.'
    )
    tx = gd.partition_by_path([("^(embed|block|out)", gd.sgd(1.0))])
    with pytest.raises(ValueError, match="parameter `new/kernel`: no pattern"):
        tx.update({**ONES, "new": {"kernel": jnp.ones(1)}}, tx.init(PARAMS))


@pytest.mark.parametrize("pattern", ["kernle", "out/bias"])
def test_a_pattern_that_gets_nothing(pattern):
    groups = [("bias", gd.sgd(1.0)), (pattern, gd.sgd(1.0)), ("", gd.sgd(1.0))]
    assert error(groups) == (
        f"`groups[1]`: the pattern {pattern!r} gets no parameter: it is found in no "
        "path, or only in those that earlier groups take, of `block/bias`, "
        "`block/kernel`, `embed/embedding`, `out/bias`, `out/kernel`."
    )
    many = {f"w{i}": jnp.ones(1) for i in range(9)}
    said = error([("", gd.sgd(1.0)), ("w8", gd.sgd(1.0))], many)
    assert said.endswith(", of `w0`, `w1`, `w2`, `w3`, `w4` and 4 more.")


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ([], "`groups` must be a list of pairs (regex, transformation), at least one,"),
        ({"bias": gd.sgd(1.0)}, "`groups` must be a list of pairs"),
        (None, "`groups` must be a list of pairs"),
        (gd.sgd(1.0), "`groups[0]` must be a pair (regex, transformation), got"),
        (("bias", gd.sgd(1.0)), "`groups[0]` must be a pair"),
        ([("", gd.sgd(1.0)), ("bias",)], "`groups[1]` must be a pair"),
        ([("", gd.sgd)], "`groups[0]` must be a pair"),
        ([(b"x", gd.sgd(1.0))], "`groups[0]` must be a pair"),
        ([("", gd.sgd(1.0), 1)], "`groups[0]` must be a pair"),
        (
            [("", gd.sgd(1.0)), ("(x", gd.sgd(1.0))],
            "`groups[1]`: '(x' is no regular expression: missing ), unterminated "
            "subpattern at position 0.",
        ),
    ],
)
def test_groups_that_are_none(groups, sentence):
    with pytest.raises(ValueError) as raised:
        gd.partition_by_path(groups)
    assert str(raised.value).startswith(sentence)


def test_a_wrong_shape_is_named():
    tx = gd.partition_by_path([("bias", gd.sgd(1.0)), ("", gd.adam(1.0))])
    state = tx.init(PARAMS)
    for name in ("kernel", "bias"):
        wrong = {**ONES, "out": {**ONES["out"], name: jnp.ones((7, 7))}}
        with pytest.raises(ValueError, match=rf"`out/{name}`.*\(7, 7\)"):
            tx.update(wrong, state, PARAMS)
    wrong = {**PARAMS, "out": {"kernel": jnp.ones(2, int), "bias": jnp.ones(1)}}
    assert "leaf `out/kernel` is int32" in error([("", optax.sgd(1.0))], wrong)


def test_a_direction_beside_a_step_is_refused():
    groups = [("out", gd.sgd(0.1)), ("bias", optax.set_to_zero()), ("", gd.trace(0.9))]
    sentence = "all directions or all steps, got a direction for '' and a step for 'o"
    with pytest.raises(ValueError, match=sentence):
        gd.partition_by_path(groups)
