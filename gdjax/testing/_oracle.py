"""The law of the oracle: 200 steps against float64 in plain numpy, state included."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from gdjax.testing._probe import IMPORTS, Numbers, Subject, fields, is_finite, numeric
from gdjax.testing._report import Broken, NotChecked

Oracle = Callable[..., np.ndarray]

NUM_STEPS = 200


def follows_the_oracle(subject: Subject, oracle: Oracle | None) -> None:
    """8: 1e-12 in f64 under a changing rate; 1e-5 in f32, over the range of floats."""
    if oracle is None:
        raise NotChecked("needs an oracle")
    rng = np.random.default_rng(1)
    p, g = rng.normal(size=5), rng.normal(size=(NUM_STEPS, 5))
    # The usual eps hides where it stands, the given one shows it: both sets.
    others = [subject.usual] if subject.usual != subject.numbers else []
    for numbers in [subject.numbers, *others]:
        _run_and_compare(subject, oracle, numbers, p, g, np.float64, 1e-12)
        _run_and_compare(subject, oracle, numbers, p, g, np.float32, 1e-5)
    for size in (1e-30, 1e30):
        grads = size * g
        _run_and_compare(
            subject, oracle, subject.numbers, 0 * p, grads, np.float32, 1e-5
        )
    _complex_follows(subject, oracle)


def _run_and_compare(subject, oracle, numbers, p, g, dtype, tolerance) -> None:
    with jax.enable_x64(dtype == np.float64):
        got = _trajectory(subject, numbers, p.astype(dtype), g.astype(dtype))
    ordinary = 1e-20 < np.abs(g).max() < 1e18
    if not ordinary and not is_finite(got[2]):
        return  # a square has overflown: the fifth law's matter
    # The oracle sees what the run saw, rounded to its dtype: 1 - b2 moves by 1e-5 with
    # the rounding of b2 = 0.999 to f32.
    start, stream = (x.astype(dtype).astype(np.float64) for x in (p, g))
    seen = {k: float(dtype(v)) for k, v in numbers.items()}
    want = _expected(oracle, seen, start, stream, subject.sign)
    _compare(subject, numbers, got, want, dtype, tolerance)
    if ordinary:  # else squares in the state may have vanished
        _compare_state(subject, numbers, got, want, dtype, tolerance)


def _rate(numbers: Numbers):
    """The numbers with a rate that changes from step to step, if there is one."""
    if "learning_rate" not in numbers:
        return dict(numbers)
    first = numbers["learning_rate"]
    return {**numbers, "learning_rate": lambda count: first / (1 + 0.01 * count)}


def _trajectory(subject: Subject, numbers: Numbers, p, g):
    """(parameters, updates, final state); the parameters move by the updates."""

    def run(numbers, p, g):
        tx = subject.build(_rate(numbers))

        def step(carry, g):
            p, state = carry
            updates, state = tx.update(g, state, p)
            p = p + updates if subject.sign < 0 else p
            return (p, state), (p, updates)

        (_, state), (ps, us) = jax.lax.scan(step, (p, tx.init(p)), g)
        return ps, us, state

    live = {k: jnp.asarray(v, g.dtype) for k, v in numbers.items()}
    key = g.dtype.name
    if key not in subject.programs:
        subject.programs[key] = jax.jit(run)
    return jax.tree.map(
        numeric, subject.programs[key](live, jnp.asarray(p), jnp.asarray(g))
    )


def _expected(oracle: Oracle, numbers: Numbers, p, g, sign: int):
    ps, us, state = [], [], {}
    for t, row in enumerate(g):
        now = {k: v(t) if callable(v) else v for k, v in _rate(numbers).items()}
        u = oracle(row, p, state, t + 1, **now)
        p = p + u if sign < 0 else p
        ps.append(p)
        us.append(u)
    return np.array(ps), np.array(us), state


def _compare(subject, numbers, got, want, dtype, tolerance) -> None:
    ps, us, _ = got
    want_ps, want_us, _ = want
    # A step is judged by where it leads, relative to the distance travelled.
    sign = subject.sign
    x, y = (ps, want_ps) if sign < 0 else (us, want_us)
    travelled = np.abs(y - y[0] + want_us[0] if sign < 0 else y).max()
    off = np.abs(x - y).max(axis=1)
    if not (off <= tolerance * travelled).all():
        t = int(np.argmax(~(off <= tolerance * travelled)))
        name = np.dtype(dtype).name
        raise Broken(
            f"{name}, step {t + 1}: {off[t] / travelled:.1e} off the oracle "
            f"(allowed {tolerance:.0e}), {dict(numbers)}.",
            *_replay(subject, numbers, name, t),
            f"want = np.array({want_us[t].tolist()})",
            f"assert np.abs(u - want).max() <= {tolerance} * np.abs(want).max(), u",
        )


def _compare_state(subject, numbers, got, want, dtype, tolerance) -> None:
    """What the state holds under a name that the oracle's state has too."""
    for key, value in want[2].items():
        for held in fields(got[2], key):
            error = np.abs(held - value).max() / max(np.abs(value).max(), 1e-300)
            if not error <= tolerance:
                name, last = np.dtype(dtype).name, NUM_STEPS - 1
                replay = _replay(subject, numbers, name, last)
                raise Broken(
                    f"{name}: `{key}` of the state is {error:.1e} off the oracle's "
                    f"after {NUM_STEPS} steps.",
                    *replay,
                    f"held = gd.testing.fields(state, {key!r})[0]; "
                    f"want = np.array({np.asarray(value).tolist()})",
                    f"assert np.abs(held - want).max() <= {tolerance} * "
                    "np.abs(want).max(), (held, want)",
                )


def _replay(subject: Subject, numbers: Numbers, name: str, t: int) -> list[str]:
    """Three lines that run the same stream again up to step `t` (from 0)."""
    rate = numbers.get("learning_rate")
    shown = {k: repr(v) for k, v in numbers.items()}
    if rate is not None:
        shown["learning_rate"] = f"lambda t: {rate} / (1 + t/100)"
    move = "p = p + u" if subject.sign < 0 else "pass"
    wide = "jax.config.update('jax_enable_x64', True); " if name == "float64" else ""
    return [
        f"{IMPORTS}; {wide}r = np.random.default_rng(1)",
        f"tx = {subject.code(**shown)}; p = jnp.asarray(r.normal(size=5), "
        f"{name!r}); g = r.normal(size=({NUM_STEPS}, 5)); state = tx.init(p)",
        f"for t in range({t + 1}): u, state = tx.update(jnp.asarray(g[t], {name!r}), "
        f"state, p); {move}",
    ]


def _complex_follows(subject: Subject, oracle: Oracle) -> None:
    p = np.array([0.5 - 1j, 2.0 + 0.5j], np.complex64)
    try:
        state = subject.tx.init(jnp.asarray(p))
    except TypeError:
        return  # that it says "complex" is the fourth law's matter
    kept: dict = {}
    for t in range(3):
        g = np.array([1 + 2j, -0.3 + 0.1j], np.complex64) * (t + 1)
        u, state = subject.tx.update(jnp.asarray(g), state, jnp.asarray(p))
        want = oracle(
            g.astype(np.complex128),
            p.astype(np.complex128),
            kept,
            t + 1,
            **subject.numbers,
        )
        if not np.abs(u - want).max() <= 1e-5 * np.abs(want).max():
            raise Broken(
                f"complex64, step {t + 1}: {u} where the oracle says {want}.",
                IMPORTS,
                f"tx, p = {subject.code()}, jnp.array({p.tolist()}, 'complex64')",
                "g, state = jnp.array([1 + 2j, -0.3 + 0.1j], 'complex64'), tx.init(p)",
                f"for t in range({t + 1}): u, state = tx.update(g * (t + 1), state, p)",
                f"assert np.allclose(u, want := {want.tolist()}, 1e-5), (u, want)",
            )
