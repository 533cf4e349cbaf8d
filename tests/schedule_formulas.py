"""The formulas of all schedules in float64, from the papers, over arrays of steps."""

import numpy as np

import gdjax as gd

MAX_INT = 2**31 - 1
_CYCLE = dict(init_value=0.0, peak_value=1.0, warmup_steps=5, decay_steps=30)
_LINE = ("linear_schedule", (0.8, 0.2, 40))
# {name: arguments}, positional; a schedule among them is a pair of this kind.
CASES = {
    "constant_schedule": (0.3,),
    "linear_schedule": (0.1, 0.7, 100, 20),
    "polynomial_schedule": (0.9, 0.1, 2.5, 100, 20),
    "exponential_decay": (0.9, 30, 0.7, 20, False, 0.05),
    "piecewise_constant_schedule": (0.9, {90: 0.5, 40: 0.3}),
    "piecewise_interpolate_schedule": ("cosine", 0.9, {90: 0.5, 40: 0.3}),
    "cosine_decay_schedule": (0.9, 100, 0.1, 1.5),
    "warmup_constant_schedule": (0.1, 0.7, 20),
    "warmup_cosine_decay_schedule": (0.1, 0.7, 20, 100, 0.05, 0.8),
    "warmup_exponential_decay_schedule": (0.1, 0.7, 20, 30, 0.6, 10, True),
    "linear_onecycle_schedule": (100, 0.9, 0.3, 0.8, 5.0, 20.0),
    "cosine_onecycle_schedule": (100, 0.9, 0.3, 5.0, 20.0),
    "sgdr_schedule": ([_CYCLE, dict(_CYCLE, decay_steps=70, exponent=1.5)],),
    "join_schedules": ([_LINE, ("constant_schedule", (0.4,))], [60]),
    "step_decay_schedule": (0.9, 30, 0.5),
    "inverse_time_decay_schedule": (0.9, 0.7, 30),
    "inverse_sqrt_schedule": (0.9, 20),
    "cyclical_schedule": (0.1, 0.7, 20, "exp_range", 0.99),
    "cosine_restarts_schedule": (0.9, 20, 1.5, 0.8, 0.1, 5),
    "wsd_schedule": (0.9, 20, 50, 30, 0.1, "sqrt"),
    "rex_schedule": (0.9, 100),
    "swa_schedule": (_LINE, 0.3, 30, 20),
    "with_warmup": (_LINE, 20, 0.1),
    "in_epochs": (_LINE, 3),
}


def built(name, args):
    return getattr(gd, name)(*map(_schedule, args))


def wanted(name, args, steps):
    """The formula called like the schedule, of the same arguments."""
    with np.errstate(over="ignore", under="ignore"):
        plain = [_formula(x) for x in args]
        return globals()[name](np.asarray(steps, np.int64), *plain)


def _is_call(x):
    return isinstance(x, tuple) and isinstance(x[0], str)


def _schedule(x):
    if _is_call(x):
        return built(*x)
    return [_schedule(y) for y in x] if isinstance(x, list) else x


def _formula(x):
    if _is_call(x):
        return lambda step: wanted(*x, step)
    return [_formula(y) for y in x] if isinstance(x, list) else x


def marks(args):
    """Integers among the arguments, and the sums of those before: the boundaries."""
    found, total = set(), 0
    for x in args:
        if isinstance(x, (list, tuple, dict)):
            inner = marks([*x, *x.values()] if isinstance(x, dict) else x)
            found |= inner | {total + mark for mark in inner}
        elif isinstance(x, int) and not isinstance(x, bool):
            total += x
            found |= {x, total}
    return found


def around(*at):
    """Steps at, before and after these, the ends and 2^24 + 1: 48, not in order."""
    at = (*at, 0, 2, 2**24 + 1, MAX_INT)
    near = {mark + d for mark in at for d in (-1, 0, 1) if 0 <= mark + d <= MAX_INT}
    return np.resize(np.array(sorted(near), np.int32), 48)


def assert_follows(schedule, name, args, steps):
    """Within 1e-6 of the largest value of the formula."""
    got, want = schedule(steps), wanted(name, args, steps)
    assert got.dtype == np.float32 and got.shape == steps.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6 * np.abs(want).max())


def left(step, begin, steps):
    """1 - z where z goes from 0 to 1 in so many steps; subtracted as integers."""
    if steps == 0:
        return np.where(step < begin, 1.0, 0.0)
    return np.clip(begin + steps - step, 0, steps) / steps


def done(step, begin, steps):
    return (
        1.0 * (step >= begin) if steps == 0 else np.clip(step - begin, 0, steps) / steps
    )


def half_cosine(x):
    """(1 + cos(pi (1 - x))) / 2, which keeps its digits at x = 0 as a squared sine."""
    return np.sin(np.pi / 2 * x) ** 2


def constant_schedule(step, value):
    return np.full(step.shape, value)


def linear_schedule(step, init, end, steps, begin=0):
    return end + (init - end) * left(step, begin, steps)


def polynomial_schedule(step, init, end, power, steps, begin=0):
    return end + (init - end) * left(step, begin, steps) ** power


def exponential_decay(step, init, steps, rate, begin=0, staircase=False, end=None):
    z = np.maximum(step - begin, 0)
    value = init * rate ** (z // steps if staircase else z / steps)
    if end is None:
        return value
    return np.maximum(value, end) if rate < 1 else np.minimum(value, end)


def piecewise_constant_schedule(step, init, scales=None):
    value = np.full(step.shape, init)
    for boundary, scale in (scales or {}).items():
        value = value * np.where(step >= boundary, scale, 1)
    return value


def piecewise_interpolate_schedule(step, kind, init, scales=None):
    bend = half_cosine if kind == "cosine" else lambda x: x
    begin, value, out = 0, init, np.full(step.shape, init)
    for boundary, scale in sorted((scales or {}).items()):
        x = bend(left(step, begin, boundary - begin))
        piece = value * scale + (value - value * scale) * x
        out = np.where(step >= begin, piece, out)
        begin, value = boundary, value * scale
    return np.where(step >= begin, value, out)


def cosine_decay_schedule(step, init, steps, alpha=0.0, exponent=1.0):
    fall = half_cosine(left(step, 0, steps)) ** exponent
    return init * (alpha + (1 - alpha) * fall)


def warmup(step, init, peak, steps, after):
    rise = init + (peak - init) * step / max(steps, 1)
    return np.where(step < steps, rise, after)


def warmup_constant_schedule(step, init, peak, steps):
    return warmup(step, init, peak, steps, peak)


def warmup_cosine_decay_schedule(step, init, peak, warm, steps, end=0.0, exponent=1.0):
    fall = half_cosine(left(step, warm, steps - warm)) ** exponent
    return warmup(step, init, peak, warm, end + (peak - end) * fall)


def warmup_exponential_decay_schedule(step, init, peak, warm, *rest):
    after = exponential_decay(np.maximum(step - warm, 0), peak, *rest)
    return warmup(step, init, peak, warm, after)


def linear_onecycle_schedule(
    step, steps, peak, top=0.3, final=0.85, factor=25.0, final_factor=1e4
):
    marks = [0, int(top * steps), int(final * steps), steps]
    low = peak / factor
    return np.interp(step, marks, [low, peak, low, low / final_factor])


def cosine_onecycle_schedule(step, steps, peak, top=0.3, factor=25.0, final_factor=1e4):
    low, first = peak / factor, int(top * steps)
    end = low / final_factor
    up = peak + (low - peak) * half_cosine(left(step, 0, first))
    down = end + (peak - end) * half_cosine(left(step, first, steps - first))
    return np.where(step < first, up, down)


def sgdr_schedule(step, cycles):
    begin, out = 0, np.zeros(step.shape)
    for cycle in cycles:
        args = {"init_value": "init", "peak_value": "peak", "warmup_steps": "warm"}
        args |= {"decay_steps": "steps", "end_value": "end"}
        named = {args.get(key, key): value for key, value in cycle.items()}
        value = warmup_cosine_decay_schedule(np.maximum(step - begin, 0), **named)
        out = np.where(step >= begin, value, out)
        begin += cycle["decay_steps"]
    return out


def join_schedules(step, parts, boundaries):
    """`parts`: formulas of the step alone."""
    out = parts[0](step)
    for begin, part in zip(boundaries, parts[1:], strict=True):
        out = np.where(step >= begin, part(np.maximum(step - begin, 0)), out)
    return out


def step_decay_schedule(step, init, every, factor):
    return init * factor ** (step // every)


def inverse_time_decay_schedule(step, init, rate, steps, staircase=False):
    return init / (1 + rate * (step // steps if staircase else step / steps))


def inverse_sqrt_schedule(step, peak, warm):
    unit = max(warm, 1)
    after = peak * np.sqrt(unit / np.maximum(step, unit))
    return warmup(step, 0.0, peak, warm, after)


def cyclical_schedule(step, base, top, half, mode="triangular", gamma=1.0):
    cycle = step // (2 * half)
    height = 1 - np.abs(step - 2 * half * cycle - half) / half
    scale = {"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": gamma**step}
    return base + (top - base) * height * scale[mode]


def cosine_restarts_schedule(
    step, peak, first, longer=1.0, multiplier=1.0, end=0.0, warm=0
):
    if longer == 1:
        i, t, period = step // first, step % first, first
    else:
        starts, periods = [0], []
        while starts[-1] <= MAX_INT:
            periods.append(round(first * longer ** len(periods)))
            starts.append(starts[-1] + periods[-1])
        i = np.searchsorted(starts, step, side="right") - 1
        t, period = step - np.array(starts)[i], np.array(periods)[i]
    top = peak * multiplier**i
    fall = end + (top - end) * half_cosine((period - t) / (period - warm))
    return np.where(t < warm, end + (top - end) * t / max(warm, 1), fall)


def wsd_schedule(step, peak, warm, stable, cooldown, end=0.0, shape="linear"):
    begin = warm + stable
    fall = {
        "linear": left(step, begin, cooldown),
        "cosine": half_cosine(left(step, begin, cooldown)),
        "sqrt": 1 - np.sqrt(done(step, begin, cooldown)),
    }
    return warmup(step, 0.0, peak, warm, end + (peak - end) * fall[shape])


def rex_schedule(step, init, steps):
    return init * left(step, 0, steps) / (1 - done(step, 0, steps) / 2)


def swa_schedule(step, inner, value, start, steps, strategy="cosine"):
    """`inner`: a formula of the step alone, and so in the next two."""
    x = left(step, start, steps)
    x = half_cosine(x) if strategy == "cosine" else x
    annealed = value + (inner(np.full_like(step, start)) - value) * x
    return np.where(step < start, inner(step), annealed)


def with_warmup(step, inner, warm, init=0.0):
    peak, after = inner(np.zeros_like(step)), inner(np.maximum(step - warm, 0))
    return warmup(step, init, peak, warm, after)


def in_epochs(step, inner, steps_per_epoch):
    return inner(step // steps_per_epoch)
