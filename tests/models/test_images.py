"""Which convolution a platform gets; its values are those of `test_conv_net`."""

import jax
import numpy as np
import pytest

from gdjax import models

KEY = jax.random.key(0)


@pytest.mark.parametrize(("platform", "convolutions"), [("cpu", 0), ("cuda", 2)])
def test_cpus_alone_get_the_product(platform, convolutions):
    net = models.conv_net([2, 3], 4)
    x = np.zeros((2, 6, 6, 1), np.float32)
    params, state = jax.eval_shape(net.init, KEY, x)
    traced = jax.jit(net.apply).trace(params, state, x)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert text.count("stablehlo.convolution(") == convolutions
