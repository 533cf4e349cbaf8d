"""What states say, at any depth, under names that are unique."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest

import gdjax as gd


class Loud(NamedTuple):
    inner_state: object
    volume: float

    def metrics(self):
        return {"volume": self.volume}


def test_a_state_that_speaks_inside_one_that_speaks_is_heard():
    inner = {"deep": [gd.transforms.LearningRateState((), 0.5), None, ()]}
    assert gd.metrics(Loud(inner, 0.1)) == {"volume": 0.1, "learning_rate": 0.5}


def test_names_that_clash_are_preceded_by_their_paths():
    quiet = (jnp.ones(2), optax.EmptyState(), None)
    state = (Loud(Loud(quiet, 1), 2), {"c": Loud(quiet, 3)}, quiet)
    assert gd.metrics(state) == {
        "0/volume": 2,
        "0/inner_state/volume": 1,
        "1/c/volume": 3,
    }
    # A state at the root has no path.
    assert gd.metrics(Loud(Loud((), 1), 2)) == {"volume": 2, "inner_state/volume": 1}


@pytest.mark.parametrize(
    "state", [(), None, {}, jnp.ones(2), optax.adam(0.1).init(1.0)]
)
def test_states_that_say_nothing(state):
    assert gd.metrics(state) == {}


def test_under_jit_through_wrappers():
    links = gd.named_chain(("clip", gd.clip_by_global_norm(1.0)), ("step", gd.sgd(0.1)))
    tx = optax.MultiSteps(gd.swa(optax.masked(links, {"a": True, "b": False}), 0), 1)
    params = {"a": jnp.array([3.0, 4.0]), "b": jnp.ones(3)}

    @jax.jit
    def step(state):
        _, state = tx.update(params, state, params)
        return gd.metrics(state)

    said = {name: float(value) for name, value in step(tx.init(params)).items()}
    assert said == pytest.approx(
        {
            "unclipped_norm": 5,
            "num_clipped": 1,
            "clip_factor": 0.2,
            "learning_rate": 0.1,
            "num_averaged": 1,
        }
    )
