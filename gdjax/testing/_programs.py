"""Laws of programs: fixed state, live numbers, the same result however compiled."""

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from gdjax import tree
from gdjax.testing._code import (
    dtypes_of,
    first_line,
    one_update,
    sum_of_updates,
)
from gdjax.testing._probe import (
    IMPORTS,
    Subject,
    at,
    changes,
    first_difference,
    gradients,
)
from gdjax.testing._report import Broken, NotChecked
from gdjax.tree import Tree

TOLERANCE = 1e-6  # between two programs of the same arithmetic in f32


def state_is_fixed(subject: Subject) -> None:
    """1: structure, shapes and dtypes are those of `init`; no buffer stands twice."""
    arrays = {k: f"jnp.float32({v})" for k, v in subject.numbers.items()}
    for params in subject.working:
        for tx, numbers in (subject.tx, {}), (subject.build(subject.live), arrays):
            if change := changes(tx, params):
                raise Broken(
                    f"{change} ({dtypes_of(params)}).",
                    *one_update(subject, params, numbers=numbers),
                    "assert jax.tree.map(jnp.result_type, new) == "
                    "jax.tree.map(jnp.result_type, state), (state, new)",
                )
    leaves = jax.tree.leaves((subject.tx.init(subject.plain), subject.plain))
    buffers = [x.unsafe_buffer_pointer() for x in leaves if x.size]
    if len(set(buffers)) < len(buffers):
        raise Broken(
            "two leaves of the state share a buffer: it cannot be donated.",
            IMPORTS,
            f"tx, p = {subject.code()}, jnp.ones(3)",
            "x = [a.unsafe_buffer_pointer() for a in jax.tree.leaves((tx.init(p), p))]",
            "assert len(set(x)) == len(x), x",
        )


def numbers_are_live(subject: Subject) -> None:
    """2: one program for all values of every number, and each has an effect."""
    if not subject.is_factory:
        raise NotChecked("needs the factory")
    if not subject.numbers:
        return
    params = subject.uniform
    grads, live = gradients(params), subject.live
    try:
        base = subject.run(live, params, grads)
    except Exception:
        _name_the_constant(subject, params)
        raise
    traces = subject.traces
    for name, value in subject.numbers.items():
        other = {**live, name: jnp.float32(value / 2)}
        if _equal(subject.run(other, params, grads), base):
            raise Broken(
                f"`{name}` has no effect when it is traced.",
                *sum_of_updates(subject, name),
                f"x, y = f({value}), f({value / 2}); assert x != y, (x, y)",
            )
    if subject.traces > traces:
        raise Broken("new numbers compile anew.")


def _name_the_constant(subject: Subject, params: Tree) -> None:
    """Raises Broken for the first number that cannot be traced, if there is one."""
    for name, value in subject.live.items():
        init = lambda x: subject.build({**subject.numbers, name: x}).init(params)
        try:
            jax.eval_shape(init, value)
        except Exception as error:
            raise Broken(
                f"`{name}` cannot be traced: {first_line(error)}",
                *sum_of_updates(subject, name),
                f"f({subject.numbers[name]})",
            ) from error


def _equal(one, two) -> bool:
    same = jax.tree.map(lambda a, b: bool(jnp.all(a == b)), one, two)
    return all(jax.tree.leaves(same))


def programs_agree(subject: Subject) -> None:
    """3: eager, jit, vmap, pmap and shard_map give one result; state stays sharded."""
    params = subject.uniform
    grads = gradients(params)
    _, want = subject.attempt(params, grads)
    state = subject.tx.init(params)
    for t in range(2):
        updates, state = subject.tx.update(at(grads, t), state, params)
        if off := first_difference(updates, at(want, t), TOLERANCE):
            raise Broken(
                f"leaf `{off[0]}` of update {t} under jit is {off[1]:.1e} off eager.",
                *one_update(subject, params),
                "jitted, _ = jax.jit(tx.update)(g, tx.init(p), p); assert "
                "jax.tree.all(jax.tree.map(lambda a, b: np.allclose("
                "a, b, 1e-6, 1e-6), updates, jitted)), (updates, jitted)",
            )
    _vmap_agrees(subject)
    if jax.device_count() == 1:
        raise NotChecked("one device (jit and vmap agree)")
    _sharding_stays(subject)


def _vmap_agrees(subject: Subject) -> None:
    """Two lanes: the numbers given with one gradient, others with another one."""
    params, other = subject.plain, {k: 0.9 * v for k, v in subject.live.items()}
    lanes = [
        (numbers, at(gradients(params, seed), 0))
        for numbers, seed in ((subject.live, 1), (other, 2))
    ]

    def update(numbers, g):
        tx = subject.build(numbers)
        return tx.update(g, tx.init(params), params)[0]

    stacked = jax.tree.map(lambda *x: jnp.stack(x), *lanes)
    many = jax.jit(jax.vmap(update))(*stacked)
    for lane, (numbers, g) in enumerate(lanes):
        if off := first_difference(at(many, lane), update(numbers, g), TOLERANCE):
            raise Broken(
                f"leaf `{off[0]}` under vmap is {off[1]:.1e} off the single run.",
                *one_update(subject, params),
                "lane, _ = jax.vmap(lambda g: tx.update(g, tx.init(p), p))("
                "jax.tree.map(lambda a: a[None], g)); assert jax.tree.all("
                "jax.tree.map(lambda a, b: np.allclose(a, b[0], 1e-6, 1e-6), "
                "updates, lane)), (updates, lane)",
            )


def _sharding_stays(subject: Subject) -> None:
    devices, axes = jax.devices()[:2], (AxisType.Auto,)
    mesh = jax.make_mesh((2,), ("x",), axis_types=axes, devices=devices)
    specs = {"w": P(None, "x"), "b": P("x")}
    params = {"w": jnp.ones((3, 4)), "b": jnp.ones(4)}
    grads = jax.tree.map(lambda p: 0.1 * p, params)
    shardings = {k: NamedSharding(mesh, spec) for k, spec in specs.items()}
    tx, placed, g = subject.tx, *(jax.device_put(t, shardings) for t in (params, grads))

    @jax.jit
    def both(g, state, p):
        inside = jax.shard_map(tx.update, mesh=mesh, in_specs=P(), out_specs=P())
        return tx.update(g, state, p), inside(g, state, p)

    start = tx.init(placed)
    (updates, state), replicated = both(g, start, placed)
    for when, values in ("init", start), ("update", (updates, state)):
        for path, leaf in tree.named_leaves(values).items():
            name = path.rpartition("/")[2]
            sharding = shardings.get(name)
            if sharding is None or tree.is_absent(leaf):
                continue
            if leaf.shape != params[name].shape:
                continue  # means over an axis, or a number for each leaf
            if not leaf.sharding.is_equivalent_to(sharding, leaf.ndim):
                raise Broken(
                    f"leaf `{path}` of the state has lost its parameter's sharding in "
                    f"`{when}`.",
                    f"{IMPORTS}; J = jax.sharding",
                    "mesh = jax.make_mesh((2,), 'x', (J.AxisType.Auto,), "
                    "devices=jax.devices()[:2]); s = J.NamedSharding(mesh, "
                    "J.PartitionSpec('x'))",
                    f"tx, p = {subject.code()}, jax.device_put(jnp.ones(4), s)",
                    "state = tx.init(p); new = jax.jit(tx.update)(p, state, p)",
                    "assert all(a.sharding.is_equivalent_to(s, 1) for a in "
                    "jax.tree.leaves((state, new)) if a.ndim), (state, new)",
                )
    # pmap is a shard_map over one axis of all devices: that it traces is enough.
    each = lambda _, g, s, p: tx.update(g, s, p)
    pmapped = jax.pmap(each, in_axes=(0, None, None, None), devices=devices)
    jax.eval_shape(pmapped, jnp.zeros(2), grads, start, params)
    alone = tx.update(grads, tx.init(params), params)
    for kind, got in ("sharded leaves", (updates, state)), ("shard_map", replicated):
        if off := first_difference(got, alone, TOLERANCE):
            raise Broken(f"leaf `{off[0]}` with {kind} is {off[1]:.1e} off one device.")
