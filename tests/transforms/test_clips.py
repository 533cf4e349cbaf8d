"""All clips over the range of floats, in one program; what each of them is alone."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from quick import QUICK
from sizes import sizes

import gdjax as gd

# Programs that run once or so: compiled in a hurry.
quick = functools.partial(jax.jit, compiler_options=QUICK)
TINY, EPS = 1.2e-38, float(np.finfo(np.float32).eps)


@jax.jit
def clipped(g, weight, bound):
    """Every clip at `bound`; AGC at bound / weight of weights that long."""
    p = {"a": weight * jnp.array([[0.6], [0.0], [0.8]]), "b": weight * jnp.ones(1)}
    zero = {"a": jnp.zeros((3, 1)), "b": jnp.zeros(1)}
    known = dict(count=jnp.int32(25), norm_mean=bound, norm_std=jnp.float32(0))
    seen = dict(count=jnp.int32(1), norms=jnp.full(2, bound))
    makes = {
        "value": (gd.clip(bound), {}),
        "block": (gd.clip_by_block_norm(bound), {}),
        "rms": (gd.clip_by_block_rms(bound), {}),
        "global": (gd.clip_by_global_norm(bound), {}),
        "units": (gd.adaptive_grad_clip(bound / weight, 0.0), {}),
        "eps": (gd.adaptive_grad_clip(bound, 1.0), {}),
        "z": (gd.zclip(), known),
        "auto": (gd.autoclip(0.0, 2), seen),
        "one": (gd.normalize_by_block_norm(), {}),
    }
    us, states = {}, {}
    for name, (tx, more) in makes.items():
        state = tx.init(g)
        state = state._replace(**more) if more else state
        weights = zero if name == "eps" else p
        us[name], states[name] = tx.update(g, state, weights)
    return us, states


JOINT = {"global", "z", "auto"}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(sizes(-30, 30), min_size=4, max_size=4),
    sizes(-20, 20).map(abs),
    sizes(-10, 10).map(abs),
)
@example([1e30] * 4, 1e-20, 1.0)  # bound / norm underflows
@example([1e-30] * 4, 1e-20, 1.0)
@example([1e30, 1e-10, 1, 1], 1e20, 1e-10)
@example([3.0, 0.0, 4.0, 0.0], 5.0, 1.0)
@example([0.0] * 4, 1e-20, 1.0)
def test_values_are_right_bounds_are_kept_and_what_is_inside_stays(
    values, bound, weight
):
    bound, weight = np.float32(bound), np.float32(weight)
    x = np.array(values, np.float32)
    g = {"a": x[:3].reshape(3, 1), "b": x[3:]}
    us, states = clipped(g, weight, bound)
    wide = {k: v.astype(np.float64) for k, v in g.items()}
    each = {k: math.hypot(*v.ravel()) for k, v in wide.items()}
    together = math.hypot(*each.values())
    for name, u in us.items():
        sizes = each if name not in JOINT else dict.fromkeys(g, together)
        if name == "rms":
            sizes = {k: v / math.sqrt(g[k].size) for k, v in each.items()}
        got = {k: np.asarray(v, np.float64) for k, v in u.items()}
        for k, size in sizes.items():
            if name == "value":
                want = np.clip(wide[k], -bound, bound)
            elif name == "one":
                want = wide[k] / (size or 1)
            else:
                want = wide[k] * min(1, float(bound) / size if size else 1)
            # What comes out below the normal floats may vanish.
            lost = np.where(abs(want) < TINY, TINY, 0)
            assert np.all(abs(got[k] - want) <= 1e-6 * abs(want) + lost), (name, k)
            if name not in ("value", "one") and size <= bound * (1 - 4 * EPS):
                assert np.array_equal(u[k], g[k]), (name, k)
        new = {k: math.hypot(*v.ravel()) for k, v in got.items()}
        new = [math.hypot(*new.values())] if name in JOINT else list(new.values())
        if name == "rms":
            new = [n / math.sqrt(v.size) for n, v in zip(new, g.values(), strict=True)]
        if name == "value":
            new = [np.max(abs(v)) for v in got.values()]
        limit = 1 if name == "one" else float(bound)
        assert max(new) <= limit * (1 + 4 * EPS) + TINY, name
        if name in JOINT:
            assert states[name].unclipped_norm == pytest.approx(together, rel=1e-6)
        elif name in ("block", "rms", "eps"):
            largest = max(sizes.values())
            assert states[name].unclipped_max == pytest.approx(largest, rel=1e-6)
        if name != "one":
            moved = any(np.any(u[k] != g[k]) for k in g)
            assert states[name].num_clipped == moved, name


def test_what_states_say():
    """Of a gradient that is clipped, after the same and one of zeros."""
    g = {"w": jnp.array([[3.0, 0.0], [4.0, 0.5]]), "b": jnp.array([0.1, -0.1])}
    makes = {
        gd.clip(0.2): {"clipped_share": 3 / 6},
        gd.clip_by_block_norm(1.0): {"unclipped_max": 25.25**0.5, "clipped_share": 0.5},
        gd.clip_by_block_rms(0.05): {"unclipped_max": 6.3125**0.5, "clipped_share": 1},
        gd.adaptive_grad_clip(0.6): {"unclipped_max": 1.0, "clipped_share": 1},
        gd.clip_by_global_norm(1.0): {"clip_factor": 25.27**-0.5},
        gd.zclip(): {
            "clip_factor": 1,
            "num_clipped": 0,
            "norm_mean": 25.27**0.5 * 2 / 3,
        },
        gd.autoclip(0.0): {"clip_factor": 0, "num_clipped": 1},
    }

    @quick
    def last(g):
        states = []
        for tx in makes:
            state = tx.init(g)
            for factor in (1, 0, 1):
                _, state = tx.update(jax.tree.map(lambda x: factor * x, g), state, g)
            states.append(gd.metrics(state))
        return states

    for said, want in zip(last(g), makes.values(), strict=True):
        want = {"num_clipped": 2} | want
        assert {k: float(said[k]) for k in want} == pytest.approx(want, rel=1e-6)


def test_usual_values_are_those_of_optax():
    """Dense kernels, images and vectors: there the rank says what the unit is."""
    shapes = {"dense": (3, 4), "image": (2, 2, 2, 3), "one": (1, 5), "bias": (4,)}
    rng = np.random.default_rng(0)
    draw = lambda shape: rng.normal(size=shape).astype(np.float32)
    g, p = ({k: draw(s) for k, s in shapes.items()} for _ in range(2))
    g["bias"] *= 1e-2

    @functools.partial(quick, static_argnums=0)
    def updates(module, g, p):
        makes = (
            module.clip(0.3),
            module.clip_by_block_rms(0.3),
            module.clip_by_global_norm(0.3),
            module.adaptive_grad_clip(0.1),
            module.adaptive_grad_clip(0.1, 1e-2, 0),
        )
        return [tx.update(g, tx.init(p), p)[0] for tx in makes]

    ours, theirs = (updates(m, g, p) for m in (gd, optax))
    for got, want in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_nan_or_an_inf_stays_in_its_leaf():
    g = {"a": jnp.array([jnp.nan, 9.0]), "b": jnp.array([jnp.inf, 9.0])}
    g["c"] = jnp.array([3.0, 4.0])
    both = gd.clip_by_block_norm(1.0), gd.clip(1.0)
    (u, _), (cut, state) = quick(lambda g: [tx.update(g, tx.init(g)) for tx in both])(g)
    np.testing.assert_array_equal(u["a"], g["a"])
    np.testing.assert_array_equal(u["b"], [np.nan, 0])
    np.testing.assert_allclose(u["c"], [0.6, 0.8], rtol=1e-6)
    np.testing.assert_array_equal(cut["a"], [np.nan, 1])
    np.testing.assert_array_equal(cut["b"], [1, 1])
    # All but the NaN.
    assert float(state.clipped_share) == pytest.approx(5 / 6) and state.num_clipped == 1


def test_parts_of_complex_numbers_are_cut_apart():
    tx, g = gd.clip(1.0), jnp.array([3 + 0.5j, -2j])
    u, state = quick(lambda g: tx.update(g, tx.init(g)))(g)
    assert u.tolist() == [1 + 0.5j, -1j]
    assert state.clipped_share == 0.5 and state.num_clipped == 1


class TestUnits:
    def kernels(self):
        shapes = {
            "out": {"kernel": (2, 3, 4), "bias": (4,)},
            "query": {"kernel": (4, 2, 3)},
            "table": {"embedding": (5, 4)},
        }
        is_shape = lambda x: isinstance(x, tuple)
        draw = lambda shape: self.rng.normal(size=shape).astype(np.float32)
        return jax.tree.map(draw, shapes, is_leaf=is_shape)

    rng = np.random.default_rng(2)

    def test_each_unit_is_kept_in_proportion_to_its_weights(self):
        """An outlier in one unit leaves all others alone."""
        p = self.kernels()
        small = jax.tree.map(lambda w: 1e-3 * w, p)
        places = {
            ("out", "kernel"): ((1, 2, 3), (slice(None), slice(None), 3)),
            ("query", "kernel"): ((1, 0, 2), (slice(None), 0, 2)),
            ("table", "embedding"): ((4, 1), (4,)),
            ("out", "bias"): ((0,), (slice(None),)),
        }
        tx = gd.adaptive_grad_clip(0.1)
        update = quick(lambda g: tx.update(g, tx.init(p), p))
        for (layer, name), (place, unit) in places.items():
            one = np.array(small[layer][name])
            one[place] = 1e3
            g = {**small, layer: {**small[layer], name: one}}
            u, state = update(g)
            got, w = np.array(u[layer][name]), p[layer][name]
            size = np.linalg.norm(got[unit]) / np.linalg.norm(w[unit])
            assert size == pytest.approx(0.1, rel=1e-5), name
            got[unit] = one[unit] = 0
            assert np.array_equal(got, one), name
            assert state.clipped_share == pytest.approx(1 / (4 + 1 + 6 + 5))

    def test_a_scanned_stack_is_clipped_layer_by_layer(self):
        draw = lambda *shape: jnp.asarray(self.rng.normal(size=shape))
        tree_of = lambda: {
            "norm": {"scale": draw(3, 4)},
            "dense": {"kernel": draw(3, 4, 4), "bias": draw(3, 4)},
        }
        p, g = {"blocks": tree_of()}, {"blocks": tree_of()}
        tx = gd.adaptive_grad_clip(0.5)
        update = lambda g, p: tx.update(g, tx.init(p), p)[0]
        got, want = quick(lambda g, p: (update(g, p), jax.vmap(update)(g, p)))(g, p)
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)

    def test_units_or_an_axis_can_be_given(self):
        p, g = (
            {"torch": jnp.ones((2, 3))},
            {"torch": jnp.array([[9.0, 9, 9], [0.1, 0, 0]])},
        )
        rows = gd.adaptive_grad_clip(0.1, units=lambda name, shape: (1,))
        same = gd.adaptive_grad_clip(0.1, axis=1)
        two = quick(lambda g: [tx.update(g, tx.init(p), p)[0] for tx in (rows, same)])
        u, other = two(g)
        np.testing.assert_allclose(u["torch"][0], 0.1, rtol=1e-6)
        assert jnp.array_equal(u["torch"][1], g["torch"][1])
        assert jnp.array_equal(other["torch"], u["torch"])
        with pytest.raises(ValueError, match="`axis` must be None where `units`"):
            gd.adaptive_grad_clip(0.1, axis=1, units=lambda name, shape: (1,))
        with pytest.raises(ValueError, match="leaf `torch` of shape .* has no axes"):
            gd.adaptive_grad_clip(0.1, axis=2).init(p)
        with pytest.raises(ValueError, match="`adaptive_grad_clip` needs `params`"):
            rows.update(g, rows.init(p))
        with pytest.raises(ValueError, match=r"^the array of shape \(2,\) has no axes"):
            gd.adaptive_grad_clip(0.1, axis=5).init(jnp.ones(2))

    def test_a_gradient_below_optax_floor_is_clipped_too(self):
        p, g = jnp.zeros(2), jnp.array([3e-8, 4e-8])
        tx = gd.adaptive_grad_clip(1e-3, 1e-6)
        u, _ = quick(lambda g: tx.update(g, tx.init(p), p))(g)
        np.testing.assert_allclose(u, g / 50, rtol=1e-6)


class TestCentralize:
    G = np.random.default_rng(1).normal(size=(4, 2, 3)).astype(np.float32)
    TX = gd.centralize(by_output=True)

    @pytest.mark.parametrize(
        ("name", "shape", "axes"),
        [
            ("kernel", (4, 6), (0,)),
            ("kernel", (2, 2, 6), (0, 1)),
            ("query/kernel", (4, 2, 3), (0,)),
            ("embedding", (6, 4), (1,)),
        ],
    )
    def test_the_mean_of_each_output_is_taken_out(self, name, shape, axes):
        g = 5 + self.G.reshape(shape)
        u, _ = self.TX.update({name: g}, optax.EmptyState())
        want = g - g.astype(np.float64).mean(axes, keepdims=True)
        np.testing.assert_allclose(u[name], want, atol=2e-6)

    @pytest.mark.parametrize(
        ("name", "shape"), [("bias", (24,)), ("bias", (4, 6)), ("kernel", (1, 24))]
    )
    def test_units_of_one_number_stay(self, name, shape):
        g = {name: self.G.reshape(shape)}
        u, _ = self.TX.update(g, optax.EmptyState())
        assert np.array_equal(u[name], g[name])

    def test_equal_numbers_become_zero(self):
        g = {"kernel": np.full((7, 3), 0.1, np.float32), "empty": np.empty((0, 3))}
        u, _ = self.TX.update(g, optax.EmptyState())
        assert not np.any(u["kernel"]) and u["empty"].shape == (0, 3)

    @pytest.mark.parametrize("value", ["no", 1, None])
    def test_by_output_is_a_bool(self, value):
        words = f"^`by_output` must be True or False, got {value!r}.$"
        with pytest.raises(TypeError, match=words):
            gd.centralize(by_output=value)

    def test_units_may_be_spread_over_an_explicit_mesh(self):
        mesh = jax.make_mesh((4,), ("x",), axis_types=(jax.sharding.AxisType.Explicit,))
        spread = jax.NamedSharding(mesh, jax.P("x", None))
        with jax.set_mesh(mesh):
            g = {"kernel": jax.device_put(self.G.reshape(4, 6), spread)}
            u, _ = quick(lambda g: self.TX.update(g, optax.EmptyState()))(g)
        want = self.G.reshape(4, 6) - self.G.reshape(4, 6).mean(0)
        assert u["kernel"].sharding.spec == spread.spec
        np.testing.assert_allclose(u["kernel"], want, atol=1e-6)

    @pytest.mark.parametrize("shape", [(), (24,), (4, 6), (2, 2, 6)])
    def test_the_units_of_optax(self, shape):
        g = {"kernel": self.G.ravel()[: math.prod(shape)].reshape(shape)}
        got, _ = gd.centralize().update(g, optax.EmptyState())
        want, _ = optax.centralize().update(g, optax.EmptyState())
        np.testing.assert_allclose(got["kernel"], want["kernel"], atol=1e-6)


@functools.partial(quick, static_argnums=0)
def factors(tx, sizes):
    """The factors and the last state along one-dimensional gradients of these sizes."""

    def step(state, size):
        _, state = tx.update(size[None], state)
        return state, state.clip_factor

    return jax.lax.scan(step, tx.init(jnp.ones(1)), sizes)[::-1]


class TestZClip:
    SIZES = np.random.default_rng(3).uniform(1, 2, 40).astype(np.float32)

    def test_it_starts_with_mean_and_deviation_of_the_first_norms(self):
        got, state = factors(gd.zclip(), self.SIZES[:25] * 1e30)
        assert np.all(got == 1) and state.count == 25
        assert state.norm_mean / 1e30 == pytest.approx(self.SIZES[:25].mean(), rel=1e-6)
        assert state.norm_std / 1e30 == pytest.approx(self.SIZES[:25].std(), rel=1e-5)

    def test_a_spike_is_brought_down_and_hardly_moves_the_mean(self):
        sizes = self.SIZES.copy()
        sizes[30] = 1e4
        spike, usual = (factors(gd.zclip(), x) for x in (sizes, self.SIZES))
        assert 1e-4 < spike[0][30] < 1.6e-4 and np.sum(spike[0] < 1) == 1
        np.testing.assert_allclose(spike[1].norm_mean, usual[1].norm_mean, rtol=0.02)
        assert spike[1].num_clipped == 1 and usual[1].num_clipped == 0

    def test_norms_that_are_not_finite_are_no_part_of_it(self):
        bad = np.insert(self.SIZES, [3, 30, 35], [np.nan, np.inf, np.nan])
        (_, state), (_, usual) = (factors(gd.zclip(), x) for x in (bad, self.SIZES))
        assert state.count == usual.count == 40
        assert state.norm_mean == usual.norm_mean and state.norm_std == usual.norm_std

    def test_zeros_at_the_start_do_not_freeze_it(self):
        got, _ = factors(gd.zclip(), np.repeat(np.float32([0, 1]), [30, 10]))
        assert got[30] == 1 and np.all(got > 0)


class TestAutoClip:
    def test_norms_that_are_not_finite_are_no_part_of_it(self):
        sizes = np.float32([np.inf, 3, np.nan, 1, np.inf, 2, 9, np.nan])
        got, state = factors(gd.autoclip(50.0, 3), sizes)
        np.testing.assert_allclose(got, [1, 1, 1, 1, 0, 1, 2 / 9, 1], rtol=1e-6)
        assert state.count == 4 and sorted(state.norms.tolist()) == [1, 2, 9]
        assert state.num_clipped == 2

    def test_metrics_leave_the_history_out(self):
        tx = gd.autoclip()
        assert set(gd.metrics(tx.init(jnp.ones(1)))) == {
            "unclipped_norm",
            "clip_factor",
            "num_clipped",
        }
