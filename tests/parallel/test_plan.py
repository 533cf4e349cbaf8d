"""Meshes and plans: where leaves live, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from gdjax.parallel import make_mesh, replicated


def test_a_mesh_takes_the_first_devices_on_automatic_axes():
    mesh = make_mesh({"data": 2, "model": 2})
    assert dict(mesh.shape) == {"data": 2, "model": 2}
    assert mesh.axis_types == (AxisType.Auto, AxisType.Auto)
    assert list(mesh.devices.flat) == jax.devices()[:4]


@pytest.mark.parametrize(
    "axes, error, message",
    [
        ({"data": 5}, ValueError, r"5 devices, but only 4 \(cpu\).*device_count=5"),
        ({"a": 2, "b": 3}, ValueError, "6 devices"),
        ({"data": 0}, ValueError, r"axes\['data'\]"),
        ({"data": 2.0}, TypeError, r"axes\['data'\]"),
        ({}, ValueError, "at least one axis"),
    ],
)
def test_a_mesh_says_what_is_wrong(axes, error, message):
    with pytest.raises(error, match=message):
        make_mesh(axes)


def test_the_state_is_whole_everywhere_and_each_device_gets_its_share():
    mesh = make_mesh({"data": 2, "more": 2})
    plan = replicated(mesh)
    state = plan.place_state({"w": jnp.arange(3.0), "key": jax.random.key(0)})
    assert state["w"].is_fully_replicated and len(state["w"].devices()) == 4
    assert len(state["key"].devices()) == 4

    seen = []

    def step(state, batch):
        jax.debug.inspect_array_sharding(batch, callback=seen.append)
        return {"w": state["w"] + batch.sum(), "key": state["key"]}, batch.mean()

    state, mean = plan.compile_step(step, stacked=False)(state, np.arange(8.0))
    assert mean == 3.5
    np.testing.assert_array_equal(state["w"], np.arange(3.0) + 28)
    assert state["w"].is_fully_replicated
    assert seen[0].shard_shape((8,)) == (2,)


@pytest.mark.parametrize("stacked, shape", [(False, (6, 4)), (True, (4, 6))])
def test_a_batch_that_cannot_be_shared_out_is_refused(stacked, shape):
    plan = replicated(make_mesh({"data": 4}))
    step = plan.compile_step(lambda state, batch: (state, {}), stacked=stacked)
    with pytest.raises(ValueError, match="got 6 with 4 devices"):
        step({"w": jnp.zeros(2)}, np.zeros(shape))
