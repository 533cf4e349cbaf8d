"""What a run prints: the set-up before it, a small table and its files after it."""

import importlib.util
import math
import sys
from collections.abc import Mapping, Sequence

import jax
import optax
from jax.sharding import Mesh

from gdjax.data import Info
from gdjax.training._directory import Results, WorkDirectory
from gdjax.training._loop import Result

_HEADS = {"last": "last iterate", "average": "average"}


def print_setup(
    mesh: Mesh,
    info: Info,
    model: Mapping[str, object],
    params: optax.Params,
) -> None:
    sizes = ", ".join(f"{size:,} {split}" for split, size in info.sizes.items())
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
    print(f"devices  {mesh.size} x {mesh.devices.flat[0].device_kind}")
    print(f"data     {info.name}: {sizes} examples; SHA-256 {info.digest[:16]}")
    print(f"model    {model['name']}: {count:,} parameters", flush=True)


def print_changes(changes: Sequence[str]) -> None:
    for change in changes:
        print(f"changed  {change}")


def print_results(results: Results) -> None:
    """A row for each split, a column for each metric of each iterate."""
    of_train = results["train"]
    columns = [(i, metric) for i in of_train for metric in of_train[i]]
    head = ["split", *(f"{_HEADS[i]}: {metric}" for i, metric in columns)]
    body = [
        [split, *(_number(metric, of[i][metric]) for i, metric in columns)]
        for split, of in results.items()
    ]
    if sys.stdout.isatty() and importlib.util.find_spec("rich"):
        from rich import print as print_rich
        from rich.table import Table

        table = Table()
        for name in head:
            table.add_column(name, justify="left" if name == "split" else "right")
        for row in body:
            table.add_row(*row)
        print_rich(table)
        return
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    for first, *rest in (head, *body):
        cells = [f"{first:<{widths[0]}}"]
        cells += [f"{x:>{w}}" for x, w in zip(rest, widths[1:], strict=True)]
        print("  ".join(cells))


def _number(metric: str, value: float) -> str:
    return f"{value:.2%}" if metric == "accuracy" else f"{value:.4f}"


def print_end(result: Result, num_steps: int, directory: WorkDirectory | None) -> None:
    """Files, and as the last line why it ended and how it goes on."""
    if directory is not None:
        print_files(directory)
    step, rows = int(result.state.step), result.history["step"]
    last = int(rows[-1]) if result.complete and rows else step
    said = f"stopped  {result.stopped}"
    if "at step" not in said:
        said += f" at step {last} of {num_steps}"
    if last != step:
        said += f"; the state is that of step {step}, the best"
    if result.stopped in ("time_limit", "SIGINT", "SIGTERM") and directory is not None:
        said += "; to go on, start it again"
    print(said, flush=True)


def print_files(directory: WorkDirectory) -> None:
    print(f"picture  {directory.curves}")
    numbers = ("results.json", "metrics.csv", "metrics.jsonl")
    first, *others = [name for name in numbers if (directory.path / name).exists()]
    print(f"numbers  {', '.join([str(directory.path / first), *others])}")
    if directory.weights.exists():
        print(f"weights  {directory.weights}")
