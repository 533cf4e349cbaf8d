"""What clips and wrappers cost over the optimizer alone, here and in Optax.

python benchmarks/wrappers.py [NAME ...]

Steps of a transformer's 148 leaves, jitted and donated: fusions and bytes of the
optimized HLO beyond those of the optimizer alone (a branch counts as if it always ran),
and the time over the optimizer's, medians over pairs in turn with the middle half in
brackets; then ours over Optax's, paired too. Of guards and averages the time is that of
ten steps in one program: a call costs some microseconds for each array of the state.
"""

import platform
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from _timing import paired, spread
from step_overhead import Contender, constant_step, transformer

import gdjax as gd

PAIRS, STEPS = 50, 10
RATE, DECAY, K = 1e-3, 1e-4, 4


def sgd(package):
    return package.sgd(RATE, momentum=0.9)


def adamw(package):
    return package.adamw(RATE)


def multi_steps(inner):
    return optax.MultiSteps(inner, K).gradient_transformation()


def cautious(inner):
    link = gd.cautious(gd.scale_by_adam())
    links = link, gd.add_decayed_weights(DECAY), gd.scale_by_learning_rate(RATE)
    return gd.chain(*links)


def before(link):
    return lambda inner: optax.chain(link, inner)


# {name: (optimizer, ours around it, Optax's around its own or None)}
ROWS: dict[str, tuple[Callable, Callable, Callable | None]] = {
    "clip": (adamw, before(gd.clip(1.0)), before(optax.clip(1.0))),
    "clip_by_global_norm": (
        adamw,
        before(gd.clip_by_global_norm(1.0)),
        before(optax.clip_by_global_norm(1.0)),
    ),
    "clip_by_block_rms": (
        adamw,
        before(gd.clip_by_block_rms(1.0)),
        before(optax.clip_by_block_rms(1.0)),
    ),
    "clip_by_block_norm": (adamw, before(gd.clip_by_block_norm(1.0)), None),
    "adaptive_grad_clip": (
        adamw,
        before(gd.adaptive_grad_clip(0.01)),
        before(optax.adaptive_grad_clip(0.01)),
    ),
    "zclip": (adamw, before(gd.zclip()), None),
    "autoclip": (adamw, before(gd.autoclip()), None),
    "centralize": (adamw, before(gd.centralize()), before(optax.centralize())),
    "cautious": (adamw, cautious, None),
    "accumulate": (adamw, lambda inner: gd.accumulate(inner, K), multi_steps),
}
LOOPED: dict[str, tuple[Callable, Callable, Callable | None]] = {
    "guard, adamw": (
        adamw,
        gd.guard,
        lambda inner: optax.apply_if_finite(inner, 5),
    ),
    "guard, sgd": (sgd, gd.guard, lambda inner: optax.apply_if_finite(inner, 5)),
    "guard, clip_by_global_norm": (
        adamw,
        lambda inner: gd.guard(optax.chain(gd.clip_by_global_norm(1.0), inner)),
        lambda inner: optax.apply_if_finite(
            optax.chain(optax.clip_by_global_norm(1.0), inner), 5
        ),
    ),
    "swa, always due": (adamw, lambda inner: gd.swa(inner, 0), None),
    "swa, due": (adamw, lambda inner: gd.swa(inner, 1), None),
    "swa, not due": (adamw, lambda inner: gd.swa(inner, 2**30), None),
    "ema_params": (adamw, lambda inner: gd.ema_params(inner, 0.999), None),
    "lawa, due": (adamw, lambda inner: gd.lawa(inner, 1, 3), None),
    "lawa, not due": (adamw, lambda inner: gd.lawa(inner, 2**30, 3), None),
    "lookahead": (adamw, lambda inner: gd.lookahead(inner, 5, 0.5), None),
    "schedule_free_adamw": (
        adamw,
        lambda inner: gd.schedule_free_adamw(RATE, weight_decay=DECAY),
        lambda inner: optax.contrib.schedule_free_adamw(RATE, weight_decay=DECAY),
    ),
}


class Looped(Contender):
    """Its counts are those of one step, its time that of a program of several."""

    def __init__(self, step, params, state, *rest):
        super().__init__(step, params, state, *rest)

        def steps(params, state, grads):
            def body(i, carry):  # what does not change XLA would take out of the loop
                return step(*carry, jax.tree.map(lambda g: g * (1 + 0.1 * i), grads))

            return jax.lax.fori_loop(0, STEPS, body, (params, state))

        self.program = jax.jit(steps, donate_argnums=(0, 1))

    def run(self):
        self.carry = self.program(*self.carry, *self.rest)
        return self.carry


def contender(kind, tx, params, grads):
    return kind(constant_step(tx), params, jax.jit(tx.init)(params), grads)


def over(contender: Contender, alone: Contender) -> str:
    for _ in range(3):
        jax.block_until_ready((contender.run(), alone.run()))
    return spread(paired(contender.run, alone.run, PAIRS)[2])


def row(name: str, params, grads) -> None:
    optimizer, wrap, wrap_theirs = (ROWS | LOOPED)[name]
    kind = Looped if name in LOOPED else Contender
    alone = contender(kind, optimizer(gd), params, grads)
    ours = contender(kind, wrap(optimizer(gd)), params, grads)
    cells = [
        f"{ours.fusions - alone.fusions}",
        f"{ours.megabytes - alone.megabytes:.1f}",
        over(ours, alone),
    ]
    if wrap_theirs is None:
        cells += [""] * 2
    else:
        alone = contender(kind, optimizer(optax), params, grads)
        theirs = contender(kind, wrap_theirs(optimizer(optax)), params, grads)
        cells[0] += f" / {theirs.fusions - alone.fusions}"
        cells[1] += f" / {theirs.megabytes - alone.megabytes:.1f}"
        cells += [over(theirs, alone), over(ours, theirs)]
    print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)


def microbatches(params, grads) -> None:
    """The optimizer's part of a train step, by a loss whose gradient is the batch."""

    @jax.custom_vjp
    def given(params, part):
        return jnp.float32(0)

    given.defvjp(lambda params, part: (given(params, part), part), _first_of)
    loss_fn = lambda params, model_state, part, key: (
        given(params, part),
        (model_state, {}),
    )
    tx = gd.adamw(RATE)
    state = gd.training.TrainState(
        jnp.int32(0), params, (), tx.init(params), jax.random.key(0)
    )
    step = gd.training.make_train_step(loss_fn, tx, microbatches=K)
    batch = jax.tree.map(lambda g: jnp.stack([g] * K), grads)
    carry = [jax.tree.map(jnp.copy, state)]

    def ours():
        carry[0] = step(carry[0], batch)[0]
        return carry[0].step

    peer = contender(Contender, multi_steps(optax.adamw(RATE)), params, grads)

    def theirs():  # as many micro-steps
        for _ in range(K):
            peer.carry = peer.compiled(*peer.carry, grads)
        return peer.carry

    for _ in range(3):
        jax.block_until_ready((ours(), theirs()))
    *_, ratios = paired(ours, theirs, PAIRS)
    print(f"\n`microbatches={K}` over {K} micro-steps of MultiSteps: {spread(ratios)}")


def _first_of(part, ct):
    return jax.tree.map(lambda g: g[0], part), jax.tree.map(jnp.zeros_like, part)


def main() -> None:
    device = jax.devices()[0]
    print(f"jax {jax.__version__}, optax {optax.__version__}, {device.device_kind},")
    print(f"{platform.processor() or platform.machine()}; cells ours / Optax's\n")
    heads = "", "more fusions", "more MB", "time", "Optax's time", "ours / Optax's"
    print(f"| {' | '.join(heads)} |\n" + "|---" * len(heads) + "|")
    params = transformer()
    grads = jax.tree.map(lambda p: 0.01 * p, params)
    for name in sys.argv[1:] or ROWS | LOOPED:
        row(name, params, grads)
    if not sys.argv[1:]:
        microbatches(params, grads)


if __name__ == "__main__":
    main()
