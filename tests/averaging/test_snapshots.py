"""What `snapshots` and `lawa` keep, in which order, and how it is read."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd


def kept_after(num_steps, wrap):
    """(state, parameters) after iterates 1, 2, 3, ..."""
    tx, x = wrap(optax.identity()), jnp.float32(0)
    state, update = tx.init(x), jax.jit(tx.update)
    for t in range(num_steps):
        u, state = update(t + 1 - x, state, x)
        x = gd.apply_updates(x, u)
    return state, x


# (every, keep, start_step): iterates that must be kept of 1 to 10
KEPT = {
    (1, 3, 0): [8, 9, 10],
    (3, 9, 0): [1, 4, 7, 10],
    (3, 3, 0): [4, 7, 10],  # around the end of the ring
    (3, 5, 2): [3, 6, 9],  # the ends of cycles of three
    (4, 1, 0): [9],
    (11, 5, 0): [1],  # more than there are steps
    (1, 2, 9): [10],
}


def test_which_iterates_are_kept_oldest_first():
    def all_of_them(tx):
        for every, keep, start in KEPT:
            tx = gd.snapshots(tx, every, keep, start_step=start)
        return tx

    state, x = jax.device_get(kept_after(10, all_of_them))
    for (every, _, start), taken in reversed(KEPT.items()):
        alone = state._replace(inner_state=())
        assert gd.stacked_params(alone).tolist() == taken
        if len(taken) == 4:  # of a ring of nine
            assert gd.averaged_params(alone, x) == np.float32(np.mean(taken))
        assert gd.metrics(alone) == {"num_taken": len(range(start, 10, every))}
        state = state.inner_state


def test_before_the_first_the_parameters_are_the_average():
    for wrap in gd.snapshots, gd.lawa:
        state, x = kept_after(3, lambda tx, w=wrap: w(tx, 1, 2, start_step=3))
        assert gd.averaged_params(state, x) == x == 3
        with pytest.raises(ValueError, match="holds no iterate yet: none was due"):
            gd.stacked_params(state)


def test_what_is_absent_stays_absent():
    params = {"w": jnp.ones(2), "none": None, "masked": optax.MaskedNode()}
    tx = gd.masked(gd.snapshots(gd.sgd(1.0), 1, 3), {**params, "w": True, "none": None})
    state = tx.init(params)
    for _ in range(2):
        _, state = tx.update(params, state, params)
    stacked = gd.stacked_params(state)
    assert stacked["w"].tolist() == [[0, 0], [0, 0]]
    assert stacked["none"] is None and stacked["masked"] == optax.MaskedNode()
    assert gd.averaged_params(state, params)["w"].tolist() == [0, 0]


def test_a_leaf_without_a_gradient_is_kept_where_it_is():
    tx, params = gd.snapshots(gd.sgd(1.0), 1, 2), {"a": jnp.ones(()), "b": jnp.ones(())}
    _, state = tx.update({"a": jnp.ones(()), "b": None}, tx.init(params), params)
    stacked = gd.stacked_params(state)
    assert stacked["a"].tolist() == [0] and stacked["b"].tolist() == [1]


def test_the_right_one_is_found():
    both = lambda tx: gd.lawa(gd.snapshots(tx, 4, 3), 1, 2)
    state, x = kept_after(10, both)
    assert gd.stacked_params(state, name="lawa").tolist() == [9, 10]
    assert gd.stacked_params(state, name="snapshots").tolist() == [1, 5, 9]
    with pytest.raises(ValueError, match=r"2 iterate stacks: \['lawa', 'snapshots'\]"):
        gd.stacked_params(state)
    with pytest.raises(ValueError, match="no iterate stack called 'swa': wrap the opt"):
        gd.stacked_params(state, name="swa")
    with pytest.raises(ValueError, match="no iterate stack: wrap .* in `snapshots`"):
        gd.stacked_params(gd.swa(gd.sgd(0.1), 0).init(x))
    with pytest.raises(TypeError, match="must not be traced: call this outside `jit`"):
        jax.jit(lambda s: gd.stacked_params(s, name="lawa"))(state)


def test_what_is_not_finite_and_dropped_again_is_forgotten():
    tx, x = gd.lawa(optax.identity(), 1, 2), jnp.zeros(2)
    state, update = tx.init(x), jax.jit(tx.update)
    for value in (np.inf, np.nan, 1.0, 2.0):
        _, state = update(np.full(2, value, np.float32), state, x)
    assert gd.averaged_params(state, x).tolist() == [1.5, 1.5]


@pytest.mark.long
def test_counts_stay_at_the_largest_integer():
    last = jnp.int32(2**31 - 1)
    x = jnp.ones(3)
    for wrap in gd.snapshots, gd.lawa:
        tx = wrap(gd.sgd(1.0), 1, 4)
        _, state = tx.update(x, tx.init(x)._replace(count=last, num_taken=last), x)
        assert state.count == state.num_taken == last
        assert gd.stacked_params(state).shape == (4, 3)
        assert gd.averaged_params(state, x).tolist() == [0, 0, 0]
    tx = gd.swa(gd.sgd(1.0), 0)
    far = tx.init(x)._replace(count=last, num_averaged=last, average=4 * x)
    _, state = tx.update(x, far, x)
    assert state.count == state.num_averaged == last
    assert gd.averaged_params(state, x).tolist() == [4, 4, 4]
