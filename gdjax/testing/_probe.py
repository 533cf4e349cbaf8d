"""What the laws are tried on: a transformation, trees of every dtype, one program."""

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdjax import tree
from gdjax.tree import Tree

IMPORTS = "import jax, jax.numpy as jnp, numpy as np, optax, gdjax as gd"
STEPS = 6
Numbers = Mapping[str, float]


def probe_params() -> Tree:
    """f32, f16, bf16 (with f32 gradients), complex, a scalar, empty, absent leaves."""
    return {
        "w": jnp.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]]),
        "scalar": jnp.float32(0.5),  # jnp.array(0.5) would be weakly typed
        "half": jnp.array([0.5, -1.0, 2.0], jnp.float16),
        "brain": jnp.array([0.5, -1.0, 2.0, 4.0], jnp.bfloat16),
        "complex": jnp.array([0.5 - 1j, 2.0 + 0.5j]),
        "empty": jnp.zeros((0, 3)),
        "none": None,
        "masked": optax.MaskedNode(),
    }


def gradients(params: Tree, seed: int = 0) -> Tree:
    """STEPS gradients, stacked, every value far from zero; f32 for bf16 parameters."""
    rng = np.random.default_rng(seed)

    def draw(p):
        shape = (STEPS, *p.shape)
        x = 10 ** rng.uniform(-1.5, 0.0, shape) * rng.choice((-1, 1), shape)
        dtype = jnp.float32 if p.dtype == jnp.bfloat16 else p.dtype
        return jnp.asarray(x * (1 + 0.5j if jnp.iscomplexobj(p) else 1), dtype)

    return jax.tree.map(draw, params)


class Subject:
    """The transformation under test: how to build it, and how to say so in code."""

    def __init__(self, make: Any, numbers: Numbers, params: Tree | None, sign: int):
        self.make = make
        self.sign = sign
        self.programs: dict[str, Callable] = {}  # of whole trajectories, by dtype
        self.numbers = dict(numbers)
        self.is_factory = not isinstance(make, optax.GradientTransformation)
        if self.numbers and not self.is_factory:
            raise ValueError("`numbers` needs a factory, got a built transformation.")
        self.params = probe_params() if params is None else params
        self.tx = self.build(self.numbers)
        if self._refuses_complex():
            real = lambda p: optax.MaskedNode() if jnp.iscomplexobj(p) else p
            self.params = jax.tree.map(real, self.params)
        self.run = jax.jit(self.scan)
        self.traces = 0  # of `scan`
        self._drifts: dict[int, str] = {}  # by tree: what changes under an update

    def _refuses_complex(self) -> bool:
        try:
            jax.eval_shape(self.tx.init, self.params)
        except Exception as error:  # whatever else it is, the laws will say
            return isinstance(error, TypeError) and "complex" in str(error)
        return False

    def build(self, numbers: Mapping[str, Any]) -> optax.GradientTransformation:
        return self.make(**numbers) if self.is_factory else self.make

    def scan(self, numbers: Mapping[str, Any], params: Tree, grads: Tree):
        """(state, stacked updates): parameters stand still, so that links can run."""
        self.traces += 1
        tx = self.build(numbers)

        def step(state, g):
            updates, state = tx.update(g, state, params)
            return state, updates

        return jax.lax.scan(step, tx.init(params), grads)

    def attempt(
        self, params: Tree, grads: Tree, numbers: Mapping[str, Any] | None = None
    ) -> tuple[Tree, Tree]:
        """`scan`, compiled; step by step where the state changes under it."""
        numbers = self.live if numbers is None else numbers
        tx, updates = self.build(numbers), []
        if id(params) not in self._drifts:  # the same for all live numbers
            self._drifts[id(params)] = changes(tx, params)
        if not self._drifts[id(params)]:
            return self.run(numbers, params, grads)
        state = tx.init(params)
        for t in range(STEPS):
            u, state = tx.update(at(grads, t), state, params)
            updates.append(u)
        return state, jax.tree.map(lambda *u: jnp.stack(u), *updates)

    @functools.cached_property
    def live(self) -> dict[str, jax.Array]:
        return {name: jnp.float32(value) for name, value in self.numbers.items()}

    @functools.cached_property
    def defaults(self) -> dict[str, jax.Array]:
        """The factory's own defaults as live numbers: the same compiled program."""
        if not self.numbers:
            return {}
        known = inspect.signature(self.make).parameters
        usual = {k: p.default for k, p in known.items() if k in self.numbers}
        return {
            k: jnp.float32(usual[k]) if isinstance(usual.get(k), float) else v
            for k, v in self.live.items()
        }

    @functools.cached_property
    def usual(self) -> dict[str, float]:
        """`defaults` as Python numbers."""
        return {k: float(f"{float(v):.6g}") for k, v in self.defaults.items()}

    @functools.cached_property
    def trees(self) -> list[Tree]:
        """What to try: the whole tree, or each leaf alone where the whole breaks."""
        try:
            jax.eval_shape(self.scan, self.live, self.params, gradients(self.params))
            return [self.params]
        except Exception:  # each leaf will say what it was
            leaves = tree.named_leaves(self.params)
            return [{k: v} for k, v in leaves.items() if not tree.is_absent(v)]

    @property
    def uniform(self) -> Tree:
        """For laws in which dtypes have no part: all leaves, or those of f32."""
        return self.params if len(self.trees) == 1 else self.plain

    @functools.cached_property
    def working(self) -> list[Tree]:
        """Those of `trees` that can be updated at all."""

        def works(params):
            g = at(gradients(params), 0)
            try:
                state = jax.eval_shape(self.tx.init, params)
                return bool(jax.eval_shape(self.tx.update, g, state, params))
            except Exception:  # the law of dtypes says which
                return False

        return [params for params in self.trees if works(params)]

    @functools.cached_property
    def plain(self) -> Tree:
        """The f32 leaves, for laws in which dtypes have no part."""
        keep = lambda p: p if p.dtype == jnp.float32 and p.size else optax.MaskedNode()
        return jax.tree.map(keep, self.params)

    @property
    def name(self) -> str:
        if self.source != "make":
            return self.source
        if not self.is_factory:
            return f"{self.make.init.__qualname__.partition('.')[0]}, built"
        return getattr(self.make, "__qualname__", "") or repr(self.make)

    @functools.cached_property
    def source(self) -> str:
        """The factory's public name in Optax or here, as code; `make` without one."""
        name = getattr(self.make, "__name__", "")
        for module, alias in (
            ("gdjax", "gd"),
            ("optax", "optax"),
            ("optax.contrib", "optax.contrib"),
        ):
            if getattr(importlib.import_module(module), name, None) is self.make:
                return f"{alias}.{name}"
        return "make"

    def code(self, **changed) -> str:
        """The call that builds it, as Python; `make` or `tx` where it has no name."""
        if not self.is_factory:
            return "tx"
        numbers = {**self.numbers, **changed}
        arguments = ", ".join(
            f"{k}={v if isinstance(v, str) and k in changed else repr(v)}"
            for k, v in numbers.items()
        )
        return f"{self.source}({arguments})"


def changes(tx: optax.GradientTransformation, params: Tree) -> str:
    """Which leaf of the state has another shape or dtype after an update, if any."""
    state = jax.eval_shape(tx.init, params)
    after = jax.eval_shape(tx.update, at(gradients(params), 0), state, params)[1]
    before, after = describe(state), describe(after)
    for path in {**before, **after}:
        x, y = before.get(path, "absent"), after.get(path, "absent")
        if x != y:
            return (
                f"leaf `{path}` of the state is {x} after `init`, {y} after an update"
            )
    return ""


def describe(state: Tree) -> dict[str, str]:
    """Shape, dtype and weak type of every leaf by name."""
    return {
        path: f"{leaf.dtype.name}{list(leaf.shape)}{'*' if leaf.weak_type else ''}"
        for path, leaf in tree.named_leaves(state).items()
        if not tree.is_absent(leaf)
    }


def is_finite(values: Tree) -> bool:
    return all(np.isfinite(_wide(x)).all() for x in jax.tree.leaves(values))


def first_difference(
    got: Tree, want: Tree, tolerance: float
) -> tuple[str, float] | None:
    """The first leaf that is off by more than `tolerance` of its largest value.

    16-bit leaves may be off by one unit in the last place.
    """
    wants = tree.named_leaves(want)
    for path, x in tree.named_leaves(got).items():
        y = wants[path]
        if tree.is_absent(x) or not np.size(x):
            continue
        eps = float(jnp.finfo(x.dtype).eps) if x.dtype.itemsize == 2 else 0.0
        a, b = _wide(x), _wide(y)
        size = np.abs(b).max()
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        error = np.where(same, 0.0, np.abs(a - b)).max()
        if not error <= max(tolerance, eps) * max(size, 1e-30):
            return path, float(error / size) if size else float(error)
    return None


def numeric(x: jax.Array) -> np.ndarray:
    """A leaf in numpy; of a random key its bits."""
    is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(x) if is_key else x)


def _wide(x) -> np.ndarray:
    return numeric(x).astype(np.complex128)


def at(stacked: Tree, t: int) -> Tree:
    return jax.tree.map(lambda x: x[t], stacked)


def fields(state: Tree, name: str) -> list[Tree]:
    """Every value that a state, at any depth, holds under the field or key `name`."""
    children: Mapping[Any, Tree] = {}
    if hasattr(state, "_asdict"):
        children = state._asdict()
    elif isinstance(state, Mapping):
        children = state
    elif isinstance(state, (tuple, list)):
        children = dict(enumerate(state))
    here = [children[name]] if name in children else []
    here = [x for x in here if not isinstance(x, tuple) or x]  # () is no leaf at all
    return here + [x for child in children.values() for x in fields(child, name)]
