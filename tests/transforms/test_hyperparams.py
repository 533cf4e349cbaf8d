"""Hyperparameters in the state: read, set, scheduled, saved, at any depth."""

import inspect
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from registry import CHECKS
from test_laws import FACTORIES

import gdjax as gd
from gdjax.testing._probe import describe
from gdjax.transforms import InjectStatefulHyperparamsState
from gdjax.transforms._ranges import BY_NAME

P = {"kernel": jnp.array([1.0, -2.0]), "bias": jnp.array([0.5])}


def sgd(rate=0.5, **more):
    return gd.inject_hyperparams(gd.sgd)(rate, **more)


DEEP = {
    "chain": lambda: gd.chain(gd.clip_by_global_norm(10.0), sgd()),
    "named_chain": lambda: gd.named_chain(("last", sgd())),
    "masked": lambda: gd.chain(gd.masked(sgd(), {"kernel": True, "bias": True})),
    "partition_by_path": lambda: gd.partition_by_path([("", sgd())]),
    "partition": lambda: gd.partition({"all": sgd()}, "all"),
    "swa": lambda: gd.swa(sgd(), 1),
    "layerwise_decay": lambda: gd.layerwise_decay(sgd(), 1.0, [""]),
    "sam": lambda: gd.sam(sgd(), 0.0),
    "inject_hyperparams": lambda: gd.inject_hyperparams(
        lambda decay: gd.layerwise_decay(sgd(), decay, [""])
    )(1.0),
    "Optax's": lambda: gd.chain(optax.inject_hyperparams(optax.sgd)(0.5)),
}


def two_devices():
    mesh = Mesh(np.array(jax.devices()[:2]), "x")
    return NamedSharding(mesh, PartitionSpec())


@pytest.mark.parametrize(
    ("name", "place"),
    [*((name, lambda: None) for name in DEEP), ("chain", two_devices)],
)
def test_a_rate_is_set_at_any_depth_without_compiling(name, place):
    tx = gd.chain(DEEP[name](), gd.identity())
    update = jax.jit(lambda g, s, p: tx.update(g, s, p, grad_fn=lambda p: g))
    p, state = jax.device_put((P, tx.init(P)), place())
    u, state = update(p, state, p)
    for rate in (0.25, jnp.float32(2.0), np.float64(3.0), 4):
        state = gd.set_hyperparams(state, learning_rate=rate)
        (path,) = [x for x in gd.get_hyperparams(state) if "learning_rate" in x]
        held = gd.get_hyperparams(state)[path]
        assert held == rate and held.dtype == jnp.float32 and not held.weak_type
        u, state = update(p, state, p)
        np.testing.assert_array_equal(u["kernel"], -rate * P["kernel"])
    assert update._cache_size() == 1
    assert path.endswith("/learning_rate") and "hyperparams" not in path


def test_setting_leaves_the_rest_alone():
    state = gd.chain(sgd(momentum=0.9), gd.inject_hyperparams(gd.scale)(2.0)).init(P)
    before = jax.tree.map(np.asarray, state)
    new = gd.set_hyperparams(state, {"0/momentum": 0.5}, step_size=3.0)
    assert gd.get_hyperparams(new) == {
        "0/learning_rate": 0.5,
        "0/momentum": 0.5,
        "1/step_size": 3.0,
    }
    jax.tree.map(np.testing.assert_array_equal, state, before)  # it is pure
    back = gd.set_hyperparams(new, momentum=0.9, step_size=2.0)
    jax.tree.map(np.testing.assert_array_equal, back, before)
    assert jax.tree.structure(new) == jax.tree.structure(state)


def test_a_step_may_donate_what_was_set():
    tx = sgd()
    update = jax.jit(tx.update, donate_argnums=1)
    rate = jnp.float32(0.25)
    state = gd.set_hyperparams(tx.init(P), learning_rate=rate)
    u, _ = update(P, state, P)
    assert rate == 0.25 and u["bias"] == -0.125  # the caller's is not given away
    given = jnp.float32(2.0)
    update(P, sgd(given).init(P), P)
    assert given == 2.0


def test_set_inside_jit_and_under_vmap():
    tx = sgd()

    def first(rate):
        state = gd.set_hyperparams(tx.init(P), learning_rate=rate)
        return tx.update(P, state, P)[0]["bias"][0]

    rates = jnp.array([0.25, 0.5])
    np.testing.assert_array_equal(jax.jit(jax.vmap(first))(rates), -0.5 * rates)
    states = jax.vmap(lambda rate: sgd(rate).init(P))(rates)
    for new, want in ([1.0, 2.0], [1.0, 2.0]), (3.0, [3.0, 3.0]):
        held = gd.set_hyperparams(states, learning_rate=jnp.array(new))
        assert gd.get_hyperparams(held)["learning_rate"].tolist() == want


def test_a_known_value_is_checked_inside_jit():
    state = sgd(momentum=0.9).init(P)
    set_to = lambda rate: jax.jit(lambda s: gd.set_hyperparams(s, learning_rate=rate))
    for bad in -1.0, jnp.float32(-1.0), np.float32(np.nan):
        with pytest.raises(ValueError, match="`learning_rate` must be finite and >= 0"):
            set_to(bad)(state)
    held = gd.get_hyperparams(set_to(0.25)(state))["learning_rate"]
    assert held == 0.25 and held.dtype == jnp.float32 and not held.weak_type


TWO = gd.chain(sgd(), sgd(momentum=0.9)).init(P)
SCHEDULED = sgd(lambda step: 0.1, momentum=0.9).init(P)


@pytest.mark.parametrize(
    ("state", "arguments", "sentence"),
    [
        (TWO, dict(learning_rate=0.1), r"`learning_rate` is the name of 2 hyperparam"),
        (TWO, dict(learning_rate=0.1), r"\['0/learning_rate', '1/learning_rate'\]"),
        (TWO, dict(moment=0.1), "`moment` is no .* the nearest is 'momentum'"),
        (TWO, {"2/momentum": 0.1}, "`2/momentum` is no .* nearest is '1/momentum'"),
        (SCHEDULED, dict(learning_rate=0.1), "`learning_rate` follows a schedule"),
        (gd.sgd(0.1).init(P), dict(learning_rate=0.1), "holds no hyperparameters"),
        (TWO, dict(momentum=-1), r"`momentum` must lie in \[0, 1\), got -1\."),
        (TWO, dict(momentum=1 - 1e-12), r"`momentum` must lie in \[0, 1\), got 1\.0"),
        (TWO, {"0/learning_rate": -1.0}, "`learning_rate` must be finite and >= 0"),
        (TWO, {"0/learning_rate": 1e300}, "`learning_rate` must be .*, got inf"),
        (TWO, dict(momentum=jnp.ones(2)), r"must be a scalar, got shape \(2,\)"),
        (TWO, dict(momentum=True), "`momentum` must be a number, got True"),
        (TWO, dict(momentum=None), "`momentum` must be a number, got None"),
        (TWO, dict(momentum="0.9"), "`momentum` must be a number, got '0.9'"),
    ],
)
def test_what_cannot_be_set(state, arguments, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        gd.set_hyperparams(state, arguments)


def test_the_paths_are_a_mapping():
    with pytest.raises(TypeError, match="`by_path` must be a dict .*, got 5"):
        gd.set_hyperparams(TWO, 5)


def test_a_name_twice():
    with pytest.raises(ValueError, match="`momentum` is given twice, as '1/momentum'"):
        gd.set_hyperparams(TWO, {"1/momentum": 0.1}, momentum=0.2)


def test_a_path_that_is_also_the_end_of_another():
    tx = gd.inject_hyperparams(lambda learning_rate: sgd(learning_rate))(0.5)
    state = gd.set_hyperparams(tx.init(P), {"learning_rate": 0.25})
    paths = {"learning_rate": 0.25, "inner_state/learning_rate": 0.5}
    assert gd.get_hyperparams(state) == paths
    with pytest.raises(ValueError, match="name of 2"):
        gd.set_hyperparams(state, learning_rate=0.25)


def test_a_schedule_is_read_by_the_count_and_shown():
    tx = gd.inject_hyperparams(gd.sgd)(lambda t: 1.0 / (1 + t), lambda t: 0.5 * t)

    def step(state, _):
        u, state = tx.update(P, state, P)
        return state, (u["bias"][0], gd.metrics(state), state.count)

    state = tx.init(P)
    assert gd.metrics(state) == {"learning_rate": 1.0, "momentum": 0.0}
    _, (u, said, count) = jax.lax.scan(step, state, length=3)
    velocities = np.array([0.5, 0.5 + 0.25, 0.5 + 0.75])  # momentum 0, 0.5, 1
    np.testing.assert_allclose(u, -velocities / [1, 2, 3], rtol=1e-6)
    np.testing.assert_allclose(said["momentum"], [0, 0.5, 1])
    np.testing.assert_allclose(said["learning_rate"], 1 / np.arange(1, 4), rtol=1e-6)
    assert count.tolist() == [1, 2, 3]


def test_a_schedule_with_a_state_of_its_own():
    class Falling:
        def init(self):
            return jnp.float32(1.0)

        def update(self, state, *, value, **extra):
            return jnp.where(value > 1, state / 2, state)

        def __call__(self, state, **extra):
            return state

    tx = gd.inject_hyperparams(gd.sgd)(Falling())
    state = tx.init(P)
    for value, want in (2.0, -0.5), (0.5, -0.25), (0.5, -0.25):
        u, state = tx.update(P, state, P, value=value)
        assert u["bias"] == want


def test_what_is_injected():
    """Floats and what may be one; ints that fix shapes, functions, dtypes are not."""
    tx = gd.inject_hyperparams(gd.adafactor)(1, momentum=0.9)
    names = "learning_rate momentum decay_rate clipping_threshold eps".split()
    assert set(gd.get_hyperparams(tx.init(P))) == set(names)
    tx = gd.inject_hyperparams(gd.adamw, "eps_root")(
        1, mask=gd.decay_mask, mu_dtype=jnp.float32, b2=jnp.bfloat16(0.5)
    )
    held = gd.get_hyperparams(tx.init(P))
    assert set(held) == {"learning_rate", "b1", "b2", "eps", "weight_decay"}
    assert {x.dtype.name for x in held.values()} == {"float32"}
    tx = gd.inject_hyperparams(gd.chain)(sgd())  # none at all
    assert list(gd.get_hyperparams(tx.init(P))) == ["inner_state/0/learning_rate"]
    assert gd.inject_stateful_hyperparams is gd.inject_hyperparams


def hinted(rate: "float | Unknown", nesterov: "bool" = False):  # noqa: F821
    return gd.sgd(rate, nesterov=nesterov)


def known(rate: "float | jax.Array", window: "int" = 1):
    assert isinstance(window, int)
    return gd.sgd(rate)


def of_any(rate: Any, eps: "int" = 1):
    return gd.sgd(rate)


@pytest.mark.parametrize("rate", [0.5, lambda step: 0.5])
@pytest.mark.parametrize(
    ("factory", "name"),
    [
        (lambda **k: gd.sgd(**k), "learning_rate"),
        (lambda momentum, **k: gd.sgd(momentum=momentum, **k), "learning_rate"),
        (lambda **rate: gd.sgd(rate["rate"]), "rate"),
        (hinted, "rate"),
        (known, "rate"),
        (of_any, "rate"),
    ],
)
def test_no_number_is_lost(factory, name, rate):
    """Through `**kwargs` and hints that are strings, which may name what is unknown."""
    more = (
        {"momentum": 0.0} if "momentum" in inspect.signature(factory).parameters else {}
    )
    tx = gd.inject_hyperparams(factory)(**{name: rate}, **more)
    state = tx.init(P)
    assert gd.get_hyperparams(state) == {name: 0.5, **more}
    if not callable(rate):
        state = gd.set_hyperparams(state, {name: 0.25})
        assert tx.update(P, state, P)[0]["bias"] == -0.125


def test_hints_that_are_strings_tell_an_int_from_a_float():
    def factory(rate: "float", eps: "int"):
        assert isinstance(eps, int)
        return gd.sgd(rate)

    assert gd.get_hyperparams(gd.inject_hyperparams(factory)(1, 2).init(P)) == {
        "rate": 1.0
    }


def test_kwargs_that_stay_as_they_are():
    factory = lambda **k: gd.adamw(**k)
    inject = gd.inject_hyperparams(factory, "b1")
    tx = inject(learning_rate=1, b1=0.5, mask=gd.decay_mask, mu_dtype=jnp.float32)
    assert gd.get_hyperparams(tx.init(P)) == {"learning_rate": 1.0}
    tx = gd.inject_hyperparams(factory, "k")(learning_rate=1.0)
    assert gd.get_hyperparams(tx.init(P)) == {}


def test_numbers_without_a_name():
    rates = lambda *rates: gd.chain(*map(gd.scale, rates))
    for rate in 0.5, lambda step: 0.5:
        with pytest.raises(TypeError, match=r"`\*rates` must hold nothing to inject"):
            gd.inject_hyperparams(rates)(rate)
    tx = gd.inject_hyperparams(rates, "rates")(0.5, 0.5)
    assert tx.update(P, tx.init(P), P)[0]["bias"] == 0.125


def test_an_update_as_wide_as_its_parameter():
    """Rounded to bf16, the step would miss zero by up to 2^-9 of the parameter."""
    p, g = jnp.array([0.1, 3.0]), jnp.zeros(2, jnp.bfloat16)
    tx = gd.inject_hyperparams(gd.proximal_l1)(gd.sgd(1.0), strength=1.0, lr=1.0)
    params = {"w": p, "v": None}
    u, _ = tx.update({"w": g, "v": None}, tx.init(params), params)
    assert (p + u["w"]).tolist() == [0.0, 2.0] and u["v"] is None
    wide = lambda by: optax.stateless(lambda g, p: jax.tree.map(lambda x: by * x, g))
    tx = gd.inject_hyperparams(wide)(2.0)
    for params, dtype in (p, "float32"), (None, "bfloat16"), (g, "bfloat16"):
        assert tx.update(g, tx.init(p), params)[0].dtype == dtype


def test_the_dtype_of_hyperparameters():
    with jax.enable_x64(True):
        tx = gd.inject_hyperparams(gd.trace)(0.1)
        assert gd.get_hyperparams(tx.init(jnp.ones(2, jnp.bfloat16)))["decay"] == 0.1
    tx = gd.inject_hyperparams(gd.trace, hyperparam_dtype=jnp.bfloat16)(0.1)
    state = tx.update(P, tx.init(P), P)[1]
    assert gd.get_hyperparams(state)["decay"].dtype == jnp.bfloat16


def test_bf16_parameters_leave_b2_alone():
    """#1414: Optax's own wrapper has NaN at the third step."""
    p = jnp.ones(2, jnp.bfloat16)

    def run(inject, factory):
        tx = inject(factory)(0.1, b2=0.999)

        def step(state, _):
            u, state = tx.update(p, state, p)
            return state, u

        return jax.lax.scan(step, tx.init(p), length=4)

    # With a state in bf16, which f32 numbers must not widen.
    inside = lambda rate, b1=0.9, b2=0.5: optax.adamw(rate, b1, b2)
    for factory in (optax.adamw, gd.adamw, inside):
        state, ours = run(gd.inject_hyperparams, factory)
        np.testing.assert_allclose(ours.astype(np.float32), -0.1, rtol=2e-2)
        assert state.hyperparams["b2"] == np.float32(0.999)
    _, theirs = run(optax.inject_hyperparams, optax.adamw)
    assert np.isnan(theirs.astype(np.float32)).any()


def test_the_fields_are_those_of_optax():
    theirs = optax.InjectStatefulHyperparamsState
    assert InjectStatefulHyperparamsState._fields == theirs._fields
    tx = gd.inject_hyperparams(optax.adamw)(0.5)
    state = optax.tree.set(tx.init(P), learning_rate=jnp.float32(0.25))
    assert optax.tree.get(state, "learning_rate") == 0.25
    state.hyperparams["learning_rate"] = 0.125  # as in Optax's docstring
    u, new = jax.jit(tx.update)(P, state, P)
    np.testing.assert_allclose(u["bias"], -0.125 * (1 + 5e-5), rtol=1e-6)
    assert new.hyperparams["learning_rate"].dtype == jnp.float32


def test_metrics_say_nothing_twice():
    said = gd.metrics(gd.inject_hyperparams(gd.sgd)(0.5, momentum=0.9).init(P))
    assert said == {"learning_rate": 0.5, "momentum": np.float32(0.9)}
    said = gd.metrics(gd.inject_hyperparams(optax.sgd)(0.5).init(P))
    assert said == {"learning_rate": 0.5}


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: gd.inject_hyperparams(gd.sgd(0.1)), "`inner_factory` must be a fun"),
        (lambda: gd.inject_hyperparams(gd.sgd, "lr"), "`static_args` must be one of"),
        (lambda: gd.inject_hyperparams(gd.sgd, 3), "`static_args` must be a list, got"),
        (lambda: gd.inject_hyperparams(gd.sgd, [[]]), "`static_args` must be one of"),
        (lambda: gd.inject_hyperparams(lambda x: x)(0.1), "must make a transformation"),
        (lambda: gd.inject_hyperparams(gd.sgd)(-0.1), "`learning_rate` must be finite"),
        (lambda: sgd(lambda step: -0.1), "`learning_rate` must be finite"),
    ],
)
def test_refusals_when_built(make, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        make()


def test_the_ranges_by_name_allow_what_factories_take():
    """`set_hyperparams` goes by the name alone: it must not refuse a good value."""
    for name, check in CHECKS.items():
        for key, value in check["numbers"].items():
            assert key not in BY_NAME or BY_NAME[key].contains(value), (name, key)
    for name, factory in FACTORIES.items():
        for key, parameter in inspect.signature(factory).parameters.items():
            default = parameter.default
            if (name, key) == ("scale_by_sm3", "b2"):  # not live, see docs/laws.md
                continue
            if key in BY_NAME and isinstance(default, float):
                assert BY_NAME[key].contains(default), (name, key)


def accepts(name, key, value):
    check = CHECKS[name]
    try:
        check["make"](**check["numbers"] | {key: value})
    except (TypeError, ValueError):
        return False
    return True


# What the registry has as bad beside another number, and sm3's, which is not live; and
# what Schedule-Free alone takes: a b1 of 1 ends every Adam.
BESIDE = {
    ("b1", 1.0),
    ("b2", 1.0),
    ("max_step_size", 0.05),
    ("min_step_size", 0.2),
    ("stop_below", 0.4),
}


def test_what_every_factory_refuses_cannot_be_set():
    """A table by name may not forget a name, nor refuse what one factory takes."""
    owners = {}
    for name, check in CHECKS.items():
        for key, values in check["bad"].items():
            if any(isinstance(x, float) and math.isnan(x) for x in values):
                owners.setdefault(key, []).append(name)  # no integer is bad as NaN
    assert len(owners) > 40
    for key, names in owners.items():
        state = InjectStatefulHyperparamsState(0, {key: np.float32(0.5)}, {}, ())
        values = {x for n in names for x in CHECKS[n]["bad"][key] if type(x) is float}
        for value in values:
            if (key, value) in BESIDE:
                continue
            if any(accepts(name, key, value) for name in names):
                gd.set_hyperparams(state, {key: value})
                continue
            with pytest.raises(ValueError, match=f"`{key}` must"):
                gd.set_hyperparams(state, {key: value})
                pytest.fail(f"{key}={value} is set")


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:`optimistic_adam` is deprecated")
@pytest.mark.parametrize(
    ("package", "name"),
    [
        (package, name)
        for name in gd.optimizer_names()
        for package in (gd, optax, optax.contrib)
        if hasattr(package, name)
    ],
)
def test_every_optimizer_inside(package, name):
    """Two updates of bf16 and f32 keep the state, and each float has its place."""
    factory = getattr(package, name)
    needed = {"rate": 0.1, "learning_rate": 0.1, "key": 0}
    known = inspect.signature(factory).parameters
    missing = {
        k: needed.get(k, 0.5)
        for k, parameter in known.items()
        if parameter.default is parameter.empty or k in ("learning_rate", "key")
    }
    tx = gd.inject_hyperparams(factory)(**missing)
    p = {"w": jnp.ones((3, 2), jnp.bfloat16), "b": jnp.ones(2)}
    value_fn = lambda p: gd.tree.global_norm(p)

    def two(state):
        for _ in range(2):
            more = dict(value=jnp.float32(1.0), grad=p, value_fn=value_fn)
            u, state = tx.update(p, state, p, **more)
        return u, state

    state = jax.eval_shape(tx.init, p)
    u, after = jax.eval_shape(two, state)
    assert describe(after) == describe(state)
    assert describe(u) == describe(p)
    floats = {k for k, x in known.items() if isinstance(x.default, float)}
    assert floats | missing.keys() - {"key"} <= set(gd.get_hyperparams(state))
