"""How far a run is: a live bar on a terminal, a few plain lines elsewhere."""

import importlib.util
import itertools
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol


class Show(Protocol):
    """Reports the steps made, the latest metrics and the steps a second."""

    def __call__(
        self, step: int, metrics: Mapping[str, float], speed: float, /
    ) -> None: ...


@contextmanager
def progress(start: int, end: int, *, visible: bool) -> Iterator[Show]:
    """Shows the way from step `start` to step `end`, unless it is not to be visible."""
    if not visible:
        yield lambda step, metrics, speed: None
    elif sys.stdout.isatty() and importlib.util.find_spec("rich"):
        with _bar(start, end) as show:
            yield show
    else:
        yield _lines(start, end)


def _text(metrics: Mapping[str, float], speed: float) -> str:
    said = [f"{name} {value:.4g}" for name, value in metrics.items()]
    return "  ".join([*said, f"{speed:,.0f} steps/s"])


def _lines(start: int, end: int) -> Show:
    """A line for about every tenth of the way."""
    printed = 0

    def show(step: int, metrics: Mapping[str, float], speed: float) -> None:
        nonlocal printed
        tenths = 10 * (step - start) // (end - start)
        if tenths > printed:
            printed = tenths
            width = len(str(end))
            print(f"step {step:{width}}/{end}  {_text(metrics, speed)}", flush=True)

    return show


@contextmanager
def _bar(start: int, end: int) -> Iterator[Show]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    # 80 columns hold the place, a bar, two metrics and the speed.
    text = TextColumn("{task.description}")
    with Progress(MofNCompleteColumn(), BarColumn(bar_width=10), text) as bar:
        task = bar.add_task("", total=end, completed=start)

        def show(step: int, metrics: Mapping[str, float], speed: float) -> None:
            first = dict(itertools.islice(metrics.items(), 2))
            bar.update(task, completed=step, description=_text(first, speed))

        yield show
