"""The two networks of `weight_averaging.py`: how they are trained and measured."""

import functools
from typing import NamedTuple

import jax
import numpy as np

import gdjax as gd

BATCH, MOMENTUM, DECAY = 32, 0.9, 5e-4
MODELS = {
    "MLP": lambda plan: gd.models.mlp(
        [32, 10], activation="tanh", initializer="xavier_normal"
    ),
    "CNN": lambda plan: gd.models.conv_net(plan.channels, 10, image_shape=(8, 8, 1)),
}
NOISE = {"absolute": (0.1, 0.0), "relative": (0.0, 0.2)}  # (a, b): (a + b w) normal
# For programs that run a few times: an init takes 0.6 s to compile instead of 7.
QUICKLY = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}


class Plan(NamedTuple):
    """How long a run is: ten cycles, of which the first five may be one."""

    every: int  # steps between two iterates in an average
    cycle: int  # steps between two restarts of the rate
    channels: list[int]  # of the CNN

    @property
    def half(self) -> int:
        return 5 * self.cycle

    @property
    def steps(self) -> int:
        return 10 * self.cycle

    def schedule(self, name, rate):
        """The rate by step; one number sets its height."""
        converge = gd.cosine_decay_schedule(rate, self.half)
        again = gd.cosine_restarts_schedule(rate, self.cycle)
        return {
            "constant": gd.constant_schedule(rate),
            "warm-up": gd.warmup_constant_schedule(0.0, rate, self.every),
            "cosine": gd.cosine_decay_schedule(rate, self.steps),
            "raised": gd.swa_schedule(converge, rate, self.half, self.every),
            "cycles": gd.join_schedules([converge, again], [self.half]),
            "restarts": again,
        }[name]

    def optimizer(self, name, schedule):
        """SGD under all the averages that leave its steps alone, or one that does not.

        The snapshots are those of the ends of the last six cycles.
        """
        if name == "Schedule-Free":
            return gd.schedule_free_sgd(schedule, weight_decay=DECAY)
        sgd = gd.chain(gd.add_decayed_weights(DECAY), gd.sgd(schedule, MOMENTUM))
        if name == "Lookahead":
            return gd.lookahead(sgd, sync_period=5, slow_step_size=0.5)
        tx = gd.snapshots(sgd, self.cycle, keep=6, start_step=self.cycle - 1)
        tx = gd.swa(tx, self.half + self.every - 1, self.every)
        tx = gd.lawa(tx, self.every, window=5, start_step=self.every - 1)
        return gd.ema_params(tx, 1 - 1 / self.every)


class Network:
    """A model on digits, and the compiled programs that train and measure it.

    A seed stands for a start, an order of the examples, and a split of them.

    Attributes:
      has_statistics: of batches; an average needs its own.
    """

    def __init__(self, name: str, plan: Plan, *, quick: bool):
        model = MODELS[name](plan)
        loss_fn = gd.training.supervised(model, "cross_entropy")
        grad_fn = jax.grad(loss_fn, has_aux=True)
        key = jax.random.key(0)  # for train mode, in which nothing is random

        def run(optimizer, rates, start, train, batches):
            tx = plan.optimizer(optimizer, lambda step: rates[step])

            def step(carry, rows):
                params, state, opt_state = carry
                batch = jax.tree.map(lambda x: x[rows], train)
                grad, (state, _) = grad_fn(params, state, batch, key)
                updates, opt_state = tx.update(grad, opt_state, params)
                return (gd.apply_updates(params, updates), state, opt_state), None

            params, state = start
            return jax.lax.scan(step, (params, state, tx.init(params)), batches)[0]

        def recalibrated(params, state, train):
            batches = [train.inputs]
            return gd.recalibrate_batch_stats(model.apply, params, state, batches)

        def train_loss(params, state, train):
            """In train mode, so that its statistics are those of all examples."""
            return loss_fn(params, state, train, key)[0]

        def noisy(params, state, train, noise, sizes):
            move = lambda w, e: w + (sizes[0] + sizes[1] * w) * e
            there = lambda e: jax.tree.map(move, params, e)
            return jax.lax.map(lambda e: train_loss(there(e), state, train), noise)

        def line(start, end, state, train, test, places):
            def losses(t):
                params = jax.tree.map(lambda a, b: a + t * (b - a), start, end)
                own = recalibrated(params, state, train)
                test_loss, _ = loss_fn(params, own, test, None)
                return train_loss(params, state, train), test_loss

            return jax.lax.map(losses, places)

        init = lambda key: model.init(key, np.zeros((1, 64), "float32"))
        options = QUICKLY if quick else None
        jit = functools.partial(jax.jit, compiler_options=options)
        table = lambda name, rate: plan.schedule(name, rate)(np.arange(plan.steps))
        self._num_steps = plan.steps
        self._init = jax.jit(init, compiler_options=QUICKLY)
        self._table = jit(table, static_argnums=0)
        self._run = jit(run, static_argnums=0)
        self._recalibrated, self._noisy, self._line = map(
            jit, (recalibrated, noisy, line)
        )
        self._probabilities = lambda p, x: jax.nn.softmax(model.apply(p[0], p[1], x)[0])
        self._data = functools.cache(lambda seed: gd.data.load("digits", seed=seed))
        self.has_statistics = bool(jax.tree.leaves(jax.eval_shape(init, key)[1]))

    def train(self, optimizer, schedule, rates, seed):
        """Where runs end that differ in the rate alone.

        Returns:
          For each rate the parameters, the model's and the optimizer's state.
        """
        start, train = self._init(jax.random.key(seed)), self._data(seed).train
        source = gd.data.source(np.arange(len(train.inputs)), BATCH, seed=seed)
        batches = [source.batch(step) for step in range(self._num_steps)]
        batches = np.stack(batches).astype(np.int32)
        tables = [self._table(schedule, rate) for rate in rates]
        return [self._run(optimizer, x, start, train, batches) for x in tables]

    def score(self, stack, state, seed, *, recalibrate=True):
        """Cross-entropies of a mean of predictions, on validation and test set.

        Args:
          stack: one set of weights or several, each leaf [n, ...].
          state: the model's.
          seed: of the split.
          recalibrate: whether each set gets statistics of its own.
        """
        train, validation, test, _ = self._data(seed)
        pairs = []
        for place in range(len(jax.tree.leaves(stack)[0])):
            params = jax.tree.map(lambda x: x[place], stack)
            own = self._recalibrated(params, state, train) if recalibrate else state
            pairs.append((params, own))
        pairs = jax.tree.map(lambda *x: np.stack(x), *pairs)
        inputs, targets = map(np.concatenate, zip(validation, test, strict=True))
        found = gd.ensemble_predict(self._probabilities, pairs, inputs)
        with np.errstate(divide="ignore"):  # of a run that diverged
            losses = -np.log(np.asarray(found)[np.arange(len(targets)), targets])
        first = len(validation.inputs)
        return losses[:first].mean(), losses[first:].mean()

    def flatness(self, params, state, seed):
        """The training loss, and how far noise in the weights raises it, by measure.

        The mean of ten draws, the same for all weights.
        """
        rng = np.random.default_rng(0)
        draws = lambda w: rng.normal(size=(10, *w.shape)).astype(np.float32)
        none_first = lambda w: np.concatenate([np.zeros_like(w)[None], draws(w)])
        noise = jax.tree.map(none_first, params)
        loss, rises = 0.0, {}
        for name, sizes in NOISE.items():
            losses = self._noisy(params, state, self._data(seed).train, noise, sizes)
            loss, *raised = np.asarray(losses)
            with np.errstate(invalid="ignore"):
                rises[name] = np.mean(raised) - loss
        return {"train": loss, **rises}

    def line(self, start, end, state, seed, places):
        """Losses on training and test set at start + t (end - start), t in `places`."""
        train, _, test, _ = self._data(seed)
        return np.asarray(self._line(start, end, state, train, test, places))
