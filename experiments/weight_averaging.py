"""Averages of weights and of predictions against the last iterate; flat minima.

DOC

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
LINES = ("SWA, raised rate", "SWA, cycles")  # to which a line leads from the last


class Found(NamedTuple):
    """What was measured of one network."""

    rates: np.ndarray
    scores: dict[Method, np.ndarray]  # [rates, seeds, 2], on validation and test set
    best: dict[str, int]  # the place in rates, by method
    ends: dict[str, list[dict]]  # by method, then by seed
    lines: dict[str, np.ndarray]  # [seeds, 2, places], on training and test set

    def tests(self, method):
        """The test losses, [rates, seeds]."""
        method = METHODS[method] if isinstance(method, str) else method
        return self.scores[method][..., 1]

    def test(self, method, at=None):
        """By seed, at the method's best rate or at the rate number `at`."""
        return self.tests(method)[self.best[method] if at is None else at]


def measure(experiment: _experiment.Experiment) -> None:
    found = {name: of_network(experiment, name) for name in MODELS}
    tables(experiment, found)
    flat_minima(experiment, found)
    look_ahead(experiment, found)
    averages(experiment, found)
    experiment.figure("weight_averaging", figures.methods(found))
    experiment.figure("weight_averaging_minima", figures.minima(found, PLACES))


def of_network(experiment, name):
    rates, plan = RATES, Plan(every=39, cycle=117, channels=[8, 16])
    if experiment.quick:
        rates, plan = RATES[3:5], Plan(every=2, cycle=6, channels=[4])
    network = Network(name, plan, quick=experiment.quick)
    methods = dict.fromkeys([*METHODS.values(), *OTHERS])
    shape = len(rates), len(experiment.seeds), 2
    scores, runs = {method: np.zeros(shape) for method in methods}, {}
    for seed in experiment.progress(experiment.seeds, f"{name}: runs at all rates"):
        for kind in dict.fromkeys(method[:2] for method in methods):
            for at, end in enumerate(network.train(*kind, rates, seed)):
                runs[kind, at, seed] = end
                for method in methods:
                    if method[:2] == kind:
                        stack = weights(end, method.result)
                        scores[method][at, seed] = network.score(stack, end[1], seed)

    best, ends = {}, {label: [] for label in METHODS}
    lines = {label: [] for label in LINES}
    for label, method in METHODS.items():
        # Where a run diverged the mean is no number, and the rate the worst.
        means = np.nan_to_num(scores[method][..., 0].mean(1), nan=np.inf)
        best[label] = int(means.argmin())
    for seed in experiment.progress(experiment.seeds, f"{name}: the best runs"):
        for label, method in METHODS.items():
            params, state, _ = end = runs[method[:2], best[label], seed]
            stack = weights(end, method.result)
            validation, test = scores[method][best[label], seed]
            row = {"network": name, "method": label, "rate": rates[best[label]]}
            row |= {"seed": seed, "validation": validation, "test": test}
            if network.has_statistics:
                stale = network.score(stack, state, seed, recalibrate=False)
                row["uncalibrated"] = stale[1]
            if method.result != "predictions":
                point = jax.tree.map(lambda x: x[0], stack)
                row["train"], rises = network.flatness(point, state, seed)
                row |= rises
                if label in LINES:
                    losses = network.line(params, point, state, seed, PLACES)
                    lines[label].append(losses)
            ends[label].append(row)
    lines = {label: np.array(x) for label, x in lines.items()}
    return Found(rates, scores, best, ends, lines)


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
    ends = [row for f in found.values() for rows in f.ends.values() for row in rows]
    columns = dict.fromkeys(key for row in ends for key in row)
    experiment.table("ends", [dict.fromkeys(columns, "") | row for row in ends])
    rows = []
    for name, f in found.items():
        for method, scores in f.scores.items():
            for (at, seed), _ in np.ndenumerate(scores[..., 0]):
                row = {"network": name, **method._asdict(), "rate": f.rates[at]}
                validation, test = scores[at, seed]
                rows.append(
                    {**row, "seed": seed, "validation": validation, "test": test}
                )
    experiment.table("rates", rows)


class Difference(NamedTuple):
    """Of two test losses, by seed [nats]."""

    mean: float
    stderr: float
    below: int  # seeds in which the first is lower

    @property
    def wins(self):
        return self.mean < -2 * self.stderr


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


def flat_minima(experiment, found):
    """Claim 11, over the ends of the best runs of all methods."""
    measured, where = {}, []
    for name, f in found.items():
        ends = [rows for rows in f.ends.values() if "train" in rows[0]]
        column = lambda key, ends=ends: np.array([[r[key] for r in x] for x in ends])
        losses = {"test loss": column("test")}
        losses["test - training loss"] = column("test") - column("train")
        for sharpness in NOISE:
            for what, y in losses.items():
                x, case = column(sharpness), f"{sharpness} sharpness and {what}"
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
    ranks = [z.ravel().argsort().argsort() for z in (x, y)]
    return float(np.corrcoef(ranks)[0, 1])


def look_ahead(experiment, found):
    """Claim 18, of Lookahead alone."""
    measured, where = {}, []
    for name, f in found.items():
        for schedule in ("constant rate", "cosine"):
            d = paired(f.test(f"Lookahead, {schedule}"), f.test(f"last, {schedule}"))
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
    measured, where, cases = {}, [], 0
    for name, f in found.items():
        for schedule, label in (("raised", "raised rate"), ("cycles", "cycles")):
            run = {x: Method("SGD", schedule, x) for x in ("last", "snapshots")}
            for kind in ("SWA", "predictions"):
                mine, at = f.test(f"{kind}, {label}"), f.best[f"{kind}, {label}"]
                for what, other in (
                    ("last of its run", f.test(run["last"], at)),
                    ("last, cosine", f.test("last, cosine")),
                ):
                    case, d = f"{kind}, {label} - {what}", paired(mine, other)
                    measured[f"{name}, {case} {DIFFERENCE}"] = d
                    where, cases = where + [(case, name)] * d.wins, cases + 1
                if kind == "predictions":
                    case = f"{kind}, {label} - mean weights of the same"
                    d = paired(mine, f.test(run["snapshots"], at))
                    measured[f"{name}, {case} {DIFFERENCE}"] = d
        swa, last = "SWA, constant rate", "last, constant rate"
        below = f.tests(swa) < f.tests(last)
        measured[f"{name}, {swa} below {last}, seeds by rate"] = below.sum(1)
        high = min(f.best[last] + 2, len(f.rates) - 1)
        measured[
            f"{name}, {swa} - {last}, both at {f.rates[high]:g}, "
            f"{f.rates[high] / f.rates[f.best[last]]:g} times the best of the second "
            f"{DIFFERENCE}"
        ] = paired(f.test(swa, high), f.test(last, high))
        for label, rows in f.ends.items():
            values, cosine = f.test(label), f.test("last, cosine")
            summary = [f.rates[f.best[label]], values.mean(), values.std()]
            summary += paired(values, cosine)[:2]
            columns = "rate, test loss [nats], its standard deviation over seeds, "
            columns += "minus that of last, cosine, standard error"
            if "uncalibrated" in rows[0]:
                summary.append(np.mean([row["uncalibrated"] for row in rows]))
                columns += ", mean without recalibration"
            measured[f"{name}, {label}: {columns}"] = summary
        ends = 0, len(f.rates) - 1
        measured[f"{name}, methods with the best rate at an end of the grid"] = [
            label for label, at in f.best.items() if at in ends
        ]
    experiment.verdict(
        26,
        "SWA: converge, cache the weights, raise the rate, converge again; averaged "
        "predictions, or averaged weights, beat the last iterate",
        holds(where, cases),
        measured,
    )


if __name__ == "__main__":
    sys.exit(_experiment.main(measure, __doc__))
