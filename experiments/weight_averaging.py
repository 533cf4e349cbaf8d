"""Averages of weights and of predictions against the last iterate; flat minima.

An MLP and a CNN with batch norms on digits: 1170 steps of 32 examples, n = 10 seeds,
each a start, an order and a split; for each method the rate of 11, a factor of 2 apart,
with the lowest mean validation loss. Losses are cross-entropies of the test set in
nats, differences are by seed, mean +- standard error.

Claim 11: flat minima are easier to reach and generalise better, as the test surface is
a shifted training surface.
  Holds when sharpness is relative: rank correlation by seed of the test loss with the
  rise of the training loss by noise in proportion to the weights, over all ends with a
  training loss below 0.1, MLP 0.78 +- 0.03, CNN 0.43 +- 0.07; by noise of one size
  -0.24 +- 0.04 and 0.42 +- 0.07. From last iterate to average the lowest test loss of
  the CNN lies where the lowest training loss does (0.04 +- 0.07 of the way off), that
  of the MLP nearer to the last iterate (0.96 +- 0.22). How easily they are reached was
  not measured.
Claim 18, look-ahead: such optimizers improve further.
  Does not hold. Lookahead - SGD: MLP -0.0009 +- 0.0009 at constant rates, 0.0007 +-
  0.0041 with a cosine; CNN -0.014 +- 0.009 and 0.002 +- 0.006.
Claim 26: SWA: averaged predictions, or averaged weights, beat the last iterate.
  Holds when the rate is high: SWA - last of its run, MLP at a constant 0.8 -0.385 +-
  0.040 (10 of 10 seeds), at 0.4 in 9, at 0.2, the best, 0.003 +- 0.001; CNN at 0.2,
  the best, -0.054 +- 0.015. None of 10 averages beats a cosine's last iterate. Without
  statistics of its own an average of the CNN is at 0.30 instead of 0.15. Exploratory:
  that the rate decides was seen in these runs.

Measured by `python experiments/weight_averaging.py --seeds=10`, 774 s on two cores that
had other work too.

Usage:
  python experiments/weight_averaging.py [--seeds=5] [--workdir=DIR] [--quick]
"""

import sys
from typing import NamedTuple

import _experiment
import _weight_averaging_figures as figures
import jax
import numpy as np
from _weight_averaging_networks import MODELS, NOISE, Network, Plan

import gdjax as gd

RATES = 0.025 * 2.0 ** np.arange(11)
PLACES = np.linspace(-0.75, 1.75, 41)  # 0 is the last iterate, 1 the average


class Method(NamedTuple):
    optimizer: str
    schedule: str
    result: str  # "last", an average by its name, or "predictions": of the snapshots


METHODS = {
    "last, constant rate": Method("SGD", "constant", "last"),
    "last, cosine": Method("SGD", "cosine", "last"),
    "EMA, constant rate": Method("SGD", "constant", "ema_params"),
    "LAWA, constant rate": Method("SGD", "constant", "lawa"),
    "SWA, constant rate": Method("SGD", "constant", "swa"),
    "SWA, raised rate": Method("SGD", "raised", "swa"),
    "predictions, raised rate": Method("SGD", "raised", "predictions"),
    "SWA, cycles": Method("SGD", "cycles", "snapshots"),
    "predictions, cycles": Method("SGD", "cycles", "predictions"),
    "snapshots' weights": Method("SGD", "restarts", "snapshots"),
    "snapshots' predictions": Method("SGD", "restarts", "predictions"),
    "Lookahead, constant rate": Method("Lookahead", "constant", "lookahead"),
    "Lookahead, cosine": Method("Lookahead", "cosine", "lookahead"),
    "Schedule-Free": Method("Schedule-Free", "warm-up", "schedule_free"),
}
OTHERS = [  # with which they are compared inside one run
    Method("SGD", schedule, result)
    for schedule in ("raised", "cycles", "restarts")
    for result in ("last", "snapshots")
]
AVERAGES = (
    "SWA, constant rate",
    "SWA, raised rate",
    "predictions, raised rate",
    "SWA, cycles",
    "predictions, cycles",
)
LINES = ("SWA, raised rate", "SWA, cycles")  # to which a line leads from the last


class Found(NamedTuple):
    """What was measured of one network: arrays [rates, seeds] by name, losses [nats].

    `validation`, `test`; `uncalibrated`, the test loss with the statistics of batches
    that the run left behind; of METHODS with one set of weights also `train` and its
    rises by NOISE.
    """

    rates: np.ndarray
    values: dict[Method, dict[str, np.ndarray]]
    best: dict[str, int]  # the place in rates, by the name of the method
    lines: dict[str, np.ndarray]  # [seeds, 2, places], on training and test set

    def test(self, name):
        """[rates, seeds]."""
        return self.values[METHODS[name]]["test"]

    def at_best(self, name, what="test"):
        """[seeds]."""
        return self.values[METHODS[name]][what][self.best[name]]


def measure(experiment: _experiment.Experiment) -> None:
    found = {name: of_network(experiment, name) for name in MODELS}
    tables(experiment, found)
    # Few steps come near no minimum.
    points = {k: minima(f, 3.0 if experiment.quick else 0.1) for k, f in found.items()}
    flat_minima(experiment, found, points)
    look_ahead(experiment, found)
    averages(experiment, found)
    experiment.figure("weight_averaging", figures.methods(found))
    experiment.figure("weight_averaging_minima", figures.minima(found, PLACES, points))


def of_network(experiment, name):
    rates, plan = RATES, Plan(every=39, cycle=117, channels=[8, 16])
    if experiment.quick:
        rates, plan = RATES[3:5], Plan(every=2, cycle=6, channels=[4])
    network = Network(name, plan, quick=experiment.quick)
    shape = len(rates), len(experiment.seeds)
    values = {method: {} for method in [*METHODS.values(), *OTHERS]}
    kinds = dict.fromkeys(method[:2] for method in values)
    runs = {}
    for seed in experiment.progress(experiment.seeds, f"{name}: runs"):
        for kind in kinds:
            for at, end in enumerate(network.train(*kind, rates, seed)):
                runs[kind, at, seed] = end
                for method in (x for x in values if x[:2] == kind):
                    for what, value in measures(network, method, end, seed).items():
                        array = values[method].setdefault(what, np.zeros(shape))
                        array[at, seed] = value
    best = {}
    for label, method in METHODS.items():
        # Where a run diverged the mean is no number, and the rate the worst.
        means = np.nan_to_num(values[method]["validation"].mean(1), nan=np.inf)
        best[label] = int(means.argmin())
    lines = {label: [] for label in LINES}
    for label in LINES:
        *kind, result = METHODS[label]
        for seed in experiment.seeds:
            end = runs[tuple(kind), best[label], seed]
            average = jax.tree.map(lambda x: x[0], weights(end, result))
            lines[label].append(network.line(end[0], average, end[1], seed, PLACES))
    lines = {label: np.array(x) for label, x in lines.items()}
    return Found(rates, values, best, lines)


def measures(network, method, end, seed):
    stack, state = weights(end, method.result), end[1]
    validation, test = network.score(stack, state, seed)
    found = {"validation": validation, "test": test}
    if network.has_statistics:
        stale = network.score(stack, state, seed, recalibrate=False)
        found["uncalibrated"] = stale[1]
    if method in METHODS.values() and method.result != "predictions":
        point = jax.tree.map(lambda x: x[0], stack)
        found |= network.flatness(point, state, seed)
    return found


def weights(end, result):
    """The sets of weights behind the predictions of a method, each leaf [n, ...]."""
    params, _, opt_state = end
    if result == "predictions":
        stack = gd.stacked_params(opt_state, name="snapshots")
        return jax.tree.map(np.asarray, stack)
    if result != "last":
        params = averaged_params(opt_state, params, name=result)
    return jax.tree.map(lambda x: np.asarray(x)[None], params)


averaged_params = jax.jit(gd.averaged_params, static_argnames="name")


def tables(experiment, found):
    columns = ("validation", "test", "uncalibrated", "train", *NOISE)
    rows = []
    for name, f in found.items():
        for method, values in f.values.items():
            for (at, seed), _ in np.ndenumerate(values["test"]):
                row = {"network": name, **method._asdict(), "rate": f.rates[at]}
                row |= {"seed": seed} | dict.fromkeys(columns)
                rows.append(row | {k: x[at, seed] for k, x in values.items()})
    experiment.table("ends", rows)
    rows = []
    for name, f in found.items():
        for label, curves in f.lines.items():
            for seed, place in np.ndindex(len(curves), len(PLACES)):
                row = {"network": name, "to": label, "seed": seed}
                losses = dict(
                    zip(("train", "test"), curves[seed, :, place], strict=True)
                )
                rows.append(row | {"place": PLACES[place]} | losses)
    experiment.table("lines", rows)


class Difference(NamedTuple):
    """Of two test losses, by seed [nats]."""

    mean: float
    stderr: float
    below: int  # seeds in which the first is lower

    @property
    def wins(self):
        return self.mean < -2 * self.stderr


METHOD = (
    "rate, test loss [nats], its standard deviation over seeds, minus that of last, "
    "cosine, standard error"
)
DIFFERENCE = "[nats]: mean, standard error, seeds below 0"


def paired(first, second):
    with np.errstate(invalid="ignore"):  # both may have diverged
        d = first - second
        return Difference(float(d.mean()), stderr(d), int((d < 0).sum()))


def stderr(x):
    return float(np.std(x, ddof=1) / np.sqrt(len(x))) if len(x) > 1 else np.nan


def holds(where, cases):
    """The verdict by the pairs (case, network) in which a claim is true."""
    if len(where) == cases:
        return "holds"
    if not where:
        return f"does not hold: in none of {cases} cases"
    networks = {case: [y for x, y in where if x == case] for case, _ in where}
    named = [f"{case} ({', '.join(x)})" for case, x in networks.items()]
    return f"holds when it is one of these, {len(where)} of {cases}: {'; '.join(named)}"


def minima(found, limit):
    """What belongs to ends with a training loss below `limit`: [ends, seeds] by name.

    A row for each method and rate; no number where the loss is not below.
    """
    values = [x for x in found.values.values() if "train" in x]
    rows = {
        k: np.concatenate([x[k] for x in values]) for k in ("train", "test", *NOISE)
    }
    return {k: np.where(rows["train"] < limit, x, np.nan) for k, x in rows.items()}


def flat_minima(experiment, found, points):
    """Claim 11, over the ends of all methods at all rates."""
    measured, where = {}, []
    for name, f in found.items():
        ends = points[name]
        count = int(np.isfinite(ends["train"]).sum())
        measured[f"{name}, ends near a minimum"] = count
        losses = {"test loss": ends["test"]}
        losses["test - training loss"] = ends["test"] - ends["train"]
        for sharpness in NOISE:
            for what, y in losses.items():
                x, case = ends[sharpness], f"{sharpness} sharpness and {what}"
                pairs = zip(x.T, y.T, strict=True)
                by_seed = np.array([rank_correlation(*pair) for pair in pairs])
                measured[
                    f"{name}, {case}, rank correlation: mean over seeds, standard "
                    "error, of all seeds together"
                ] = [by_seed.mean(), stderr(by_seed), rank_correlation(x, y)]
                if by_seed.mean() > 2 * stderr(by_seed):
                    where.append((case, name))
        for label, curves in f.lines.items():
            lowest = PLACES[curves.argmin(2)]
            shift = lowest[:, 1] - lowest[:, 0]
            wide = curves < 2 * curves.min(2, keepdims=True)
            at = [np.abs(PLACES - place).argmin() for place in (0, 1)]
            line = f"{name}, from last (0) to {label} (1)"
            measured |= {
                f"{line}, training and test loss there [nats]": (
                    curves.mean(0)[:, at].ravel()
                ),
                f"{line}, lowest training and test loss at": lowest.mean(0),
                f"{line}, the second - the first: mean, standard error": (
                    [shift.mean(), stderr(shift)]
                ),
                f"{line}, below twice the lowest, part of 2.5": (
                    wide.mean(2).mean(0) * np.ptp(PLACES)
                ),
            }
    experiment.verdict(
        11,
        "flat minima are easier to reach and generalise better than sharp ones, as the "
        "test surface is a shifted training surface",
        holds(where, 4 * len(found)),
        measured,
    )


def rank_correlation(x, y):
    there = np.isfinite(x) & np.isfinite(y)
    if there.sum() < 3:
        return np.nan
    ranks = [z[there].argsort().argsort() for z in (x, y)]
    return float(np.corrcoef(ranks)[0, 1])


def look_ahead(experiment, found):
    """Claim 18, of Lookahead alone."""
    measured, where = {}, []
    for name, f in found.items():
        for schedule in ("constant rate", "cosine"):
            pair = (f.at_best(f"{x}, {schedule}") for x in ("Lookahead", "last"))
            d = paired(*pair)
            measured[f"{name}, {schedule}, Lookahead - SGD {DIFFERENCE}"] = d
            where += [(schedule, name)] * d.wins
    experiment.verdict(
        18,
        "look-ahead optimizers improve further",
        holds(where, 2 * len(found)),
        measured,
    )


def averages(experiment, found):
    """Claim 26, and all methods."""
    measured, at_some, at_best, of_cosine = {}, 0, 0, 0
    for name, f in found.items():
        test = lambda *method, f=f: f.values[Method("SGD", *method)]["test"]
        cosine = f.at_best("last, cosine")
        for label in AVERAGES:
            _, schedule, result = METHODS[label]
            mine, best, case = test(schedule, result), f.best[label], f"{name}, {label}"
            pairs = zip(mine, test(schedule, "last"), strict=True)
            last = [paired(*pair) for pair in pairs]
            wins = [rate for rate, d in zip(f.rates, last, strict=True) if d.wins]
            annealed = paired(mine[best], cosine)
            measured |= {
                f"{case} - last of its run {DIFFERENCE}": last[best],
                f"{case} - last of its run, seeds below 0 by rate": (
                    [d.below for d in last]
                ),
                f"{case} - last of its run, lowest rate at which it is below by two "
                "standard errors": wins[0] if wins else np.nan,
                f"{case} - last, cosine {DIFFERENCE}": annealed,
            }
            at_some += bool(wins)
            at_best += last[best].wins
            of_cosine += annealed.wins
            if result == "predictions":
                d = paired(mine[best], test(schedule, "snapshots")[best])
                measured[f"{case} - mean weights of the same {DIFFERENCE}"] = d
        high = min(f.best["last, constant rate"] + 2, len(f.rates) - 1)
        measured[
            f"{name}, SWA, constant rate of {f.rates[high]:g}, high - last of its run "
            f"{DIFFERENCE}"
        ] = paired(test("constant", "swa")[high], test("constant", "last")[high])
        for label, method in METHODS.items():
            loss, columns = f.at_best(label), METHOD
            summary = [f.rates[f.best[label]], loss.mean(), loss.std()]
            summary += paired(loss, cosine)[:2]
            if "uncalibrated" in f.values[method]:
                summary.append(f.at_best(label, "uncalibrated").mean())
                columns += ", mean without recalibration"
            measured[f"{name}, {label}: {columns}"] = summary
        ends = 0, len(f.rates) - 1
        measured[f"{name}, methods with the best rate at an end of the grid"] = [
            label for label, at in f.best.items() if at in ends
        ]
    cases = len(AVERAGES) * len(found)
    if at_best == of_cosine == cases:
        verdict = "holds"
    elif at_best == cases:
        verdict = "holds when set against the same run"
    else:
        verdict = "holds when the rate is high" if at_some else "does not hold"
    experiment.verdict(
        26,
        "SWA: converge, cache the weights, raise the rate, converge again; averaged "
        "predictions, or averaged weights, beat the last iterate",
        f"{verdict}: of {cases} averages {at_some} beat the last iterate of their run "
        f"at some rate, {at_best} at their best, {of_cosine} beat that of a cosine",
        measured,
    )


if __name__ == "__main__":
    sys.exit(_experiment.main(measure, __doc__))
