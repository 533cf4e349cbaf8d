"""The laws of a transformation, each a function that says how it is broken."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from gdjax import tree
from gdjax.testing._probe import (
    IMPORTS,
    Subject,
    at,
    changes,
    first_difference,
    gradients,
    is_finite,
)
from gdjax.testing._report import Broken, NotChecked
from gdjax.transforms import chain, scale_by_learning_rate

TOLERANCE = 1e-6  # between two programs of the same arithmetic in f32


def state_is_fixed(subject: Subject) -> None:
    """1: structure, shapes and dtypes are those of `init`; no buffer stands twice."""
    same = "assert jax.tree.map(jnp.result_type, new) == jax.tree.map("
    for params in subject.working:
        for tx, numbers in (
            (subject.tx, {}),
            (subject.build(subject.live), {k: f"jnp.float32({v})" for k, v in subject.numbers.items()}),
        ):
            if change := changes(tx, params):
                raise Broken(
                    f"{change} ({_dtypes(params)}).",
                    *_one_update(subject, params, numbers=numbers),
                    f"{same}jnp.result_type, state), (state, new)",
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
    params = subject.plain if len(subject.trees) > 1 else subject.params
    grads, live = gradients(params), subject.live
    for name in live:
        try:
            jax.eval_shape(lambda x, name=name: subject.build({**subject.numbers, name: x}).init(params), live[name])
        except Exception as error:
            raise Broken(
                f"`{name}` cannot be traced: {_first_line(error)}",
                *_sum_of_updates(subject, name),
                f"f({subject.numbers[name]})",
            ) from error
    base = subject.attempt(params, grads)
    for name in live:
        other = {**live, name: live[name] * jnp.float32(0.5)}
        if _equal(subject.run(other, params, grads), base):
            raise Broken(
                f"`{name}` has no effect when it is traced.",
                *_sum_of_updates(subject, name),
                f"x, y = f({subject.numbers[name]}), f({0.5 * subject.numbers[name]}); "
                "assert x != y, (x, y)",
            )
    if subject.run._cache_size() > len(subject.trees) + 1:
        raise Broken(f"new numbers compile anew: {subject.run._cache_size()} programs.")


def programs_agree(subject: Subject) -> None:
    """3: eager, jit, vmap, pmap and shard_map give one result; state stays sharded."""
    params = subject.plain if len(subject.trees) > 1 else subject.params
    grads = gradients(params)
    _, want = subject.attempt(params, grads)
    state = subject.tx.init(params)
    for t in range(2):
        updates, state = subject.tx.update(at(grads, t), state, params)
        if off := first_difference(updates, at(want, t), TOLERANCE):
            raise Broken(
                f"leaf `{off[0]}` of update {t} under jit is {off[1]:.1e} off eager.",
                *_one_update(subject, params),
                "jitted, _ = jax.jit(tx.update)(g, tx.init(p), p); assert "
                "jax.tree.all(jax.tree.map(lambda a, b: np.allclose("
                "a, b, 1e-6, 1e-6), updates, jitted)), (updates, jitted)",
            )
    _vmap_agrees(subject)
    if jax.device_count() == 1:
        raise NotChecked("sharding: one device")
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
                *_one_update(subject, params),
                "lane, _ = jax.vmap(lambda g: tx.update(g, tx.init(p), p))("
                "jax.tree.map(lambda a: a[None], g)); assert jax.tree.all(jax.tree.map(lambda a, b: np.allclose("
                "a, b[0], 1e-6, 1e-6), updates, lane)), (updates, lane)",
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
            sharding = shardings.get(path.rpartition("/")[2])
            if sharding is None or tree.is_absent(leaf) or not leaf.ndim:
                continue
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
            raise Broken(
                f"leaf `{off[0]}` with {kind} is {off[1]:.1e} off one device."
            )


def dtypes_work(subject: Subject) -> None:
    """4: every dtype, scalars, empty and absent leaves; integers are refused."""
    for params in subject.trees:
        g = at(gradients(params), 0)
        try:
            updates, _ = subject.tx.update(g, subject.tx.init(params), params)
        except Exception as error:
            raise Broken(
                f"{_shapes(params)} of {_dtypes(params)}: {type(error).__name__}, "
                f"{_first_line(error)}",
                *_one_update(subject, params),
            ) from error
        for path, u in tree.named_leaves(updates).items():
            wanted = tree.named_leaves(g)[path]
            if not tree.is_absent(u) and u.dtype != wanted.dtype:
                raise Broken(
                    f"the update of leaf `{path}` is {u.dtype}, its gradient "
                    f"{wanted.dtype}.",
                    *_one_update(subject, params),
                    "assert jax.tree.map(jnp.result_type, updates) == "
                    "jax.tree.map(jnp.result_type, g), updates",
                )
    with jax.enable_x64(True):
        p = jnp.ones(3, jnp.float64)
        shapes = jax.eval_shape(lambda p: subject.tx.update(p, subject.tx.init(p), p), p)
        narrow = [x.dtype for x in jax.tree.leaves(shapes) if x.shape == p.shape]
        if any(dtype != jnp.float64 for dtype in narrow):
            raise Broken(f"f64 parameters give {narrow[0]} leaves.")
    for empty in ({}, (), {"a": None}):
        if subject.tx.update(empty, subject.tx.init(empty), empty)[0] != empty:
            raise Broken(f"the empty tree {empty} does not come back.")
    _absent_gradient(subject)
    _integers(subject)


def _absent_gradient(subject: Subject) -> None:
    params = {"seen": jnp.ones(2), "unseen": jnp.ones(3)}
    state = subject.tx.init(params)
    g = {"seen": jnp.ones(2), "unseen": None}
    lines = (
        IMPORTS,
        f"tx, p = {subject.code()}, dict(seen=jnp.ones(2), unseen=jnp.ones(3))",
        "g, state = dict(seen=jnp.ones(2), unseen=None), tx.init(p)",
        "updates, new = tx.update(g, state, p)",
        "assert updates['unseen'] is None, updates",
    )
    try:
        updates, _ = subject.tx.update(g, state, params)
    except Exception as error:
        said = _first_line(error)
        raise Broken(f"a `None` gradient does not skip its leaf: {said}", *lines)
    if updates["unseen"] is not None:
        raise Broken("a `None` gradient does not skip its leaf.", *lines)


def _integers(subject: Subject) -> None:
    params = {"layer": {"w": jnp.ones(3), "n": jnp.ones(3, jnp.int32)}}
    lines = (
        IMPORTS,
        f"tx = {subject.code()}",
        "p = dict(layer=dict(w=jnp.ones(3), n=jnp.ones(3, jnp.int32)))",
        "try: tx.init(p); said = 'nothing'",
        "except TypeError as e: said = str(e)",
        "assert 'layer/n' in said, said",
    )
    try:
        subject.tx.init(params)
    except TypeError as error:
        if "layer/n" not in str(error):
            raise Broken(f"an integer parameter is not named: {error}", *lines)
        return
    raise Broken("an integer parameter is no TypeError from `init`.", *lines)


def zero_moves_nothing(subject: Subject, decays: bool) -> None:
    """5: zero gradients give zero updates, small and large ones finite ones."""
    for params in subject.working:
        grads = gradients(params)
        zero = jax.tree.map(jnp.zeros_like, grads)
        for numbers in (subject.live, subject.defaults):
            still = not decays
            if decays and "weight_decay" in numbers:
                still, numbers = True, {**numbers, "weight_decay": jnp.float32(0)}
            state, updates = subject.attempt(params, zero, numbers)
            moved = any(np.any(u) for u in jax.tree.leaves(updates))
            if not is_finite((state, updates)) or (still and moved):
                what = "moves parameters" if is_finite(updates) else "gives NaN or inf"
                raise Broken(
                    f"a zero gradient {what} ({_dtypes(params)}).",
                    *_one_update(subject, params, "0 * ", numbers),
                    "assert not any(np.any(np.asarray(u, complex) != 0) for u in "
                    "jax.tree.leaves(updates)), updates",
                )
        _constants_at_zero(subject, params, at(zero, 0), decays)
    for params in subject.working:
        grads = gradients(params)
        for size in (1e-30, 1e18, 1e30):
            _finite_at(subject, params, grads, size)


def _constants_at_zero(subject: Subject, params, zero, decays: bool) -> None:
    """Once more with Python numbers: in f16 these may underflow where f32 ones do not."""
    if not subject.is_factory:
        return
    numbers = {k: float(f"{float(v):.6g}") for k, v in subject.defaults.items()}
    if decays and "weight_decay" in numbers:
        decays, numbers["weight_decay"] = False, 0.0
    tx = subject.build(numbers)
    updates, state = tx.update(zero, tx.init(params), params)
    moved = not decays and any(np.any(u) for u in jax.tree.leaves(updates))
    if moved or not is_finite((updates, state)):
        raise Broken(
            f"a zero gradient moves parameters or gives NaN ({_dtypes(params)}).",
            *_one_update(subject, params, "0 * ", numbers),
            "assert not any(np.any(np.asarray(u, complex) != 0) for u in "
            "jax.tree.leaves(updates)), updates",
        )


def _finite_at(subject: Subject, params, grads, size: float) -> None:
    small = lambda g: g * (1.0 if g.dtype == jnp.float16 else size)
    state, updates = subject.attempt(params, jax.tree.map(small, grads))
    # A stored square may be inf at 1e30: it must not make NaN of anything.
    stored = [x for x in jax.tree.leaves(state) if not _is_inf(x, size)]
    if not is_finite((stored, updates)):
        raise Broken(
            f"a gradient of size {size:.0e} gives NaN or inf ({_dtypes(params)}).",
            *_one_update(subject, params, f"{size} * "),
            "assert all(np.isfinite(np.asarray(u, complex)).all() for u in "
            "jax.tree.leaves((updates, new))), (updates, new)",
        )


def _is_inf(x: jax.Array, size: float) -> bool:
    return size > 1e18 and not np.isnan(np.asarray(x, np.complex128)).any()


def bad_input_is_refused(subject: Subject, bad) -> None:
    """6: bad numbers when built, bad trees at trace time, each named."""
    for name, values in bad.items():
        for value in values:
            shown = {k: v for k, v in subject.numbers.items() if k != name}
            call = f"{subject.code(**{**shown, name: repr(value)})}"
            lines = (
                IMPORTS,
                "nan, inf = float('nan'), float('inf')",
                f"try: {call}; said = 'nothing'",
                "except (ValueError, TypeError) as e: said = str(e)",
                f"assert {name!r} in said, said",
            )
            try:
                subject.build({**subject.numbers, name: value})
            except (ValueError, TypeError) as error:
                if name not in str(error):
                    raise Broken(f"{name}={value!r} is not named: {error}", *lines)
            else:
                raise Broken(f"{name}={value!r} is accepted.", *lines)
    w, b = jnp.ones(3), jnp.ones(2)
    chained = f"optax.chain({subject.code()}, gd.scale_by_learning_rate(1.0))"
    # Where a direction sees no parameter, the learning rate's link compares.
    is_step = subject.sign < 0
    probe = subject.tx if is_step else chain(subject.tx, scale_by_learning_rate(1.0))
    for wrong, words in (
        ({"layer": {"w": jnp.ones((4, 3)), "b": b}}, ("layer/w", "(4, 3)", "(3,)")),
        ({"layer": {"w": w}}, ("layer/b",)),
    ):
        params = {"layer": {"w": w, "b": b}}
        try:
            jax.eval_shape(lambda g, p: probe.update(g, probe.init(p), p), wrong, params)
            said = "nothing"
        except (ValueError, TypeError) as error:
            said = str(error)
        if not all(word in said for word in words):
            raise Broken(
                f"gradients {_shapes(wrong)} for parameters {_shapes(params)}: "
                f"expected an error with {', '.join(words)}, got {said[:120]!r}.",
                IMPORTS,
                f"tx = {subject.code() if is_step else chained}; "
                f"g, p = ({_code(wrong)}, {_code(params)})",
                "try: tx.update(g, tx.init(p), p); said = 'nothing'",
                "except (ValueError, TypeError) as e: said = str(e)",
                f"assert all(word in said for word in {words}), said",
            )
    if not subject.is_factory:
        raise NotChecked("numbers: needs the factory")


def extra_arguments_pass(subject: Subject) -> None:
    """7: `update` takes keyword arguments that it does not know."""
    p = {"w": jnp.ones(3)}
    try:
        subject.tx.update(p, subject.tx.init(p), p, unknown_to_all=1)
    except TypeError as error:
        raise Broken(
            f"`update` refuses an unknown keyword argument: {error}",
            IMPORTS,
            f"tx, p = {subject.code()}, jnp.ones(3)",
            "tx.update(p, tx.init(p), p, unknown_to_all=1)",
        )


def sign_is_kept(subject: Subject) -> None:
    """9: a direction points along the gradient, a step against it."""
    # Parameters along the gradient, so that decay cannot hide a flipped sign.
    params = at(gradients(subject.plain), 0)
    updates, _ = subject.tx.update(params, subject.tx.init(params), params)
    pairs = zip(jax.tree.leaves(updates), jax.tree.leaves(params), strict=True)
    inner, sign = sum(float(jnp.vdot(g, u)) for u, g in pairs), subject.sign
    if not inner * sign > 0:
        kind = "direction along" if sign > 0 else "step against"
        raise Broken(
            f"not a {kind} the gradient: <u, g> = {inner:.3g}.",
            *_one_update(subject, {"w": params["w"]} if "w" in params else params),
            "u, _ = tx.update(g, tx.init(g), g); assert 0 < sum("
            f"{sign} * float(jnp.vdot(a, b)) for a, b in "
            "zip(jax.tree.leaves(u), jax.tree.leaves(g))), u",
        )


def _equal(one, two) -> bool:
    same = jax.tree.map(lambda a, b: bool(jnp.all(a == b)), one, two)
    return all(jax.tree.leaves(same))


def _one_update(subject: Subject, params, factor="", numbers=None) -> list[str]:
    """Lines that make `updates` and `new` out of `g`, `state` and `p`."""
    shown = {k: v for k, v in tree.named_leaves(params).items() if not tree.is_absent(v)}
    grads = at(gradients(params), 0)
    code = subject.code(**{
        k: v if isinstance(v, str) else repr(float(f"{float(v):.6g}"))
        for k, v in (numbers or {}).items()
    })
    return [
        IMPORTS,
        f"tx, p = {code}, {_code(shown)}",
        f"g = jax.tree.map(lambda a: ({factor}a).astype(a.dtype), {_code(grads)})",
        "state = tx.init(p); updates, new = tx.update(g, state, p)",
    ]


def _sum_of_updates(subject: Subject, name: str) -> list[str]:
    return [
        IMPORTS,
        f"make = lambda x: {subject.code(**{name: 'x'})}",
        "p = g = jnp.array([0.5, -1.0, 2.0])",
        "f = jax.jit(lambda x: make(x).update(g, make(x).init(p), p)[0].sum())",
    ]


def _code(values: optax.Params) -> str:
    """A tree of arrays as Python; every leaf on its own line would be too long."""
    if isinstance(values, dict):
        inner = (f"{k!r}: {_code(v)}" for k, v in values.items() if not tree.is_absent(v))
        return "{" + ", ".join(inner) + "}"
    if np.size(values) == 0:
        return f"jnp.zeros({values.shape}, {values.dtype.name!r})"
    return f"jnp.array({np.asarray(values).tolist()}, {values.dtype.name!r})"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _dtypes(params: optax.Params) -> str:
    return "/".join(sorted({str(p.dtype) for p in jax.tree.leaves(params)}))


def _shapes(values: optax.Params) -> str:
    return str({path: np.shape(x) for path, x in tree.named_leaves(values).items()})
