"""Every optimizer beside Optax's of the same name: state, fusions, times, lines.

python benchmarks/family.py [NAME ...]

State in bytes a parameter, fusions of the optimized HLO, medians over pairs in turn of
the time to trace and to run a step (ours / Optax's, the middle half in brackets), and
the lines of code of the function and of all of its own package that it calls, without
docstrings, comments and empty lines.
"""

import ast
import functools
import inspect
import platform
import sys
import textwrap

import jax
import optax
from _timing import paired, spread
from step_overhead import Contender, transformer

import gdjax as gd

PAIRS, TRACES = 40, 11
RATE = 1e-3
GIVEN = {"value": 1.0}  # for polyak_sgd and momo, which ask for the loss


def contender(make, params, grads):
    def step(params, state, grads):
        # Built in here, so that no trace finds the one before in a cache.
        tx = optax.with_extra_args_support(make(RATE))
        updates, state = tx.update(grads, state, params, **GIVEN)
        return optax.apply_updates(params, updates), state

    return Contender(step, params, jax.jit(make(RATE).init)(params), grads)


def bytes_a_parameter(make, params) -> float:
    state = jax.eval_shape(make(RATE).init, params)
    size = lambda tree: sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))
    return 4 * size(state) / size(params)  # params are f32


def code_lines(function) -> int:
    """Of its source: what is no docstring, comment or empty line."""
    source = textwrap.dedent(inspect.getsource(function))
    expressions = [x for x in ast.walk(ast.parse(source)) if isinstance(x, ast.Expr)]
    texts = [x for x in expressions if isinstance(x.value, ast.Constant)]
    docs = {i for x in texts for i in range(x.lineno, (x.end_lineno or 0) + 1)}
    lines = enumerate(map(str.strip, source.splitlines()), 1)
    return sum(bool(x) and x[0] != "#" and i not in docs for i, x in lines)


def reached(function, inside) -> set:
    """`function`, and what its code names that stands in a module of `inside`."""
    found, todo = set(), [function]
    while todo:
        thing = inspect.unwrap(todo.pop())
        if isinstance(thing, functools.partial):
            thing = thing.func
        module = sys.modules[thing.__module__]
        if thing in found or not any(module.__name__.startswith(x) for x in inside):
            continue
        found.add(thing)
        code = ast.parse(textwrap.dedent(inspect.getsource(thing)))
        names = {
            ast.unparse(node)
            for node in ast.walk(code)
            if isinstance(node, (ast.Name, ast.Attribute))
        }
        for name in names:
            value = vars(module)
            for part in name.split("."):
                value = (
                    value.get(part)
                    if isinstance(value, dict)
                    else getattr(value, part, None)
                )
            if inspect.isfunction(value) or inspect.isclass(value):
                todo.append(value)
    return found


OURS = "gdjax.transforms._", "gdjax.optimizers._"
THEIRS = tuple(
    f"optax.{name}"
    for name in (
        "_src.alias",
        "_src.transform",
        "_src.factorized",
        "contrib._",
        "transforms._",
    )
)


def row(name: str, params, grads) -> tuple[set, set]:
    mine = getattr(gd, name)
    peer = getattr(optax, name, None) or getattr(optax.contrib, name, None)
    ours = contender(mine, params, grads)
    cells = [f"{bytes_a_parameter(mine, params):.2f}", str(ours.fusions), "", "", ""]
    here, there = reached(mine, OURS), set()
    if peer is None:
        cells[4] = f"{sum(map(code_lines, here))} / -"
    else:
        theirs = contender(peer, params, grads)
        there = reached(peer, THEIRS)
        for _ in range(5):
            jax.block_until_ready((ours.run(), theirs.run()))
        *_, steps = paired(ours.run, theirs.run, PAIRS)
        *_, traces = paired(ours.trace, theirs.trace, TRACES)
        lifted = inspect.unwrap(mine) is peer
        cells = [
            f"{cells[0]} / {bytes_a_parameter(peer, params):.2f}",
            f"{ours.fusions} / {theirs.fusions}",
            spread(traces),
            spread(steps),
            "lifted"
            if lifted
            else f"{sum(map(code_lines, here))} / {sum(map(code_lines, there))}",
        ]
        if lifted:
            here = there = set()
    print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)
    return (here, there) if peer is not None else (set(), set())


def main() -> None:
    device = jax.devices()[0]
    print(f"jax {jax.__version__}, optax {optax.__version__}, {device.device_kind},")
    print(f"{platform.processor() or platform.machine()}; each cell ours / Optax's\n")
    print("| optimizer | state bytes | fusions | trace ratio | step ratio | lines |")
    print("|---|---|---|---|---|---|")
    params = transformer(blocks=4)
    grads = jax.tree.map(lambda p: 0.01 * p, params)
    here, there = set(), set()
    for name in sys.argv[1:] or gd.optimizer_names():
        if name == "lbfgs":  # its line search needs a function
            print("| `lbfgs` | | | | | lifted |")
            continue
        one, other = row(name, params, grads)
        here, there = here | one, there | other
    total = lambda things: sum(map(code_lines, things))
    print(f"\nAll that has a peer, each line once: {total(here)} / {total(there)}")


if __name__ == "__main__":
    main()
