"""Laws of values: dtypes and absent leaves, zero and extreme gradients, the sign."""

import jax
import jax.numpy as jnp
import numpy as np

from gdjax import tree
from gdjax.testing._code import (
    dtypes_of,
    first_line,
    one_update,
    shapes_of,
)
from gdjax.testing._probe import (
    IMPORTS,
    Subject,
    at,
    gradients,
    is_finite,
    numeric,
)
from gdjax.testing._report import Broken
from gdjax.tree import Tree


def dtypes_work(subject: Subject) -> None:
    """4: every dtype, scalars, empty and absent leaves; integers are refused."""
    for params in subject.trees:
        g = at(gradients(params), 0)
        try:
            updates, _ = subject.tx.update(g, subject.tx.init(params), params)
        except Exception as error:
            raise Broken(
                f"{shapes_of(params)} of {dtypes_of(params)}: {type(error).__name__}, "
                f"{first_line(error)}",
                *one_update(subject, params),
            ) from error
        for path, u in tree.named_leaves(updates).items():
            wanted = tree.named_leaves(g)[path]
            if not tree.is_absent(u) and u.dtype != wanted.dtype:
                raise Broken(
                    f"the update of leaf `{path}` is {u.dtype}, its gradient "
                    f"{wanted.dtype}.",
                    *one_update(subject, params),
                    "assert jax.tree.map(jnp.result_type, updates) == "
                    "jax.tree.map(jnp.result_type, g), updates",
                )
    with jax.enable_x64(True):
        p = jnp.ones(3, jnp.float64)
        shapes = jax.eval_shape(
            lambda p: subject.tx.update(p, subject.tx.init(p), p), p
        )
        narrow = [x.dtype for x in jax.tree.leaves(shapes) if x.shape == p.shape]
        if any(dtype != jnp.float64 for dtype in narrow):
            raise Broken(f"f64 parameters give {narrow[0]} leaves.")
    empties: tuple[Tree, ...] = {}, (), {"a": None}
    for empty in empties:
        if subject.tx.update(empty, subject.tx.init(empty), empty)[0] != empty:
            raise Broken(f"the empty tree {empty} does not come back.")
    _absent_gradient(subject)
    _integers(subject)


def _absent_gradient(subject: Subject) -> None:
    params = {"seen": jnp.ones(2), "unseen": jnp.ones(3)}
    state = subject.tx.init(params)
    updates: Tree
    g: Tree = {"seen": jnp.ones(2), "unseen": None}
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
        said = first_line(error)
        sentence = f"a `None` gradient does not skip its leaf: {said}"
        raise Broken(sentence, *lines) from error
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
            sentence = f"an integer parameter is not named: {error}"
            raise Broken(sentence, *lines) from error
        return
    raise Broken("an integer parameter is no TypeError from `init`.", *lines)


def zero_moves_nothing(subject: Subject, decays: bool) -> None:
    """5: zero gradients give zero updates, small and large ones finite ones."""
    still = {"weight_decay": 0.0} if "weight_decay" in subject.numbers else {}
    must_stay = bool(still) or not decays
    live = {k: jnp.float32(v) for k, v in still.items()}
    for params in subject.working:
        zero = jax.tree.map(jnp.zeros_like, gradients(params))
        for numbers in ({**subject.live, **live}, {**subject.defaults, **live}):
            result = subject.attempt(params, zero, numbers)
            code = {k: f"jnp.float32({float(v):.6g})" for k, v in numbers.items()}
            _zero_result(subject, params, result, must_stay, code)
        if subject.is_factory:
            # Once more with Python numbers: in f16 they may underflow, unlike arrays.
            numbers = {**subject.usual, **still}
            tx = subject.build(numbers)
            result = tx.update(at(zero, 0), tx.init(params), params)[::-1]
            code = {k: repr(v) for k, v in numbers.items()}
            _zero_result(subject, params, result, must_stay, code)
    for params in subject.working:
        grads = gradients(params)
        for size in (1e-30, 1e18, 1e30):
            _finite_at(subject, params, grads, size)


def _zero_result(subject, params, result, must_stay: bool, numbers) -> None:
    state, updates = result
    moved = any(np.any(u) for u in jax.tree.leaves(updates))
    if is_finite((state, updates)) and not (must_stay and moved):
        return
    what = "moves parameters" if is_finite(updates) else "gives NaN or inf"
    raise Broken(
        f"a zero gradient {what} ({dtypes_of(params)}).",
        *one_update(subject, params, "0 * ", numbers),
        "assert not any(np.any(np.asarray(u, complex) != 0) for u in "
        "jax.tree.leaves(updates)), updates",
    )


def _finite_at(subject: Subject, params, grads, size: float) -> None:
    small = lambda g: g * (1.0 if g.dtype == jnp.float16 else size)
    state, updates = subject.attempt(params, jax.tree.map(small, grads))
    # A stored square may be inf at 1e30: it must not make NaN of anything.
    sound = is_finite if size < 1e30 else _has_no_nan
    if not (is_finite(updates) and sound(state)):
        raise Broken(
            f"a gradient of size {size:.0e} gives NaN or inf ({dtypes_of(params)}).",
            *one_update(subject, params, f"{size} * "),
            "assert all(np.isfinite(np.asarray(u, complex)).all() for u in "
            "jax.tree.leaves((updates, new))), (updates, new)",
        )


def _has_no_nan(values: Tree) -> bool:
    arrays = (numeric(x).astype(np.complex128) for x in jax.tree.leaves(values))
    return not any(np.isnan(x).any() for x in arrays)


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
            f"not a {kind} the gradient: <u, g> = {inner:.3g}; a finished optimizer "
            f"has sign=-1, a link sign=1, got {sign}.",
            *one_update(subject, {"w": params["w"]} if "w" in params else params),
            "u, _ = tx.update(g, tx.init(g), g); assert 0 < sum("
            f"{sign} * float(jnp.vdot(a, b)) for a, b in "
            "zip(jax.tree.leaves(u), jax.tree.leaves(g))), u",
        )
