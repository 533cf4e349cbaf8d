"""The prefetching thread: order, how far ahead, exceptions, and that it always ends."""

import gc
import subprocess
import sys
import threading
import time
import weakref

import jax
import numpy as np
import pytest

from gdjax import data


@pytest.fixture(autouse=True)
def threads():
    """No test leaves a thread behind."""
    before = threading.active_count()
    yield lambda: threading.active_count() - before
    wait_for(lambda: threading.active_count() <= before)


def wait_for(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(1e-3)


def same(item):
    return item


def test_batches_come_in_order_and_on_the_device():
    rows = data.source({"x": np.arange(12, dtype=np.int32)}, 5, seed=0)
    got = list(data.prefetch(map(rows.batch, range(20))))
    assert all(isinstance(batch["x"], jax.Array) for batch in got)
    for step, batch in enumerate(got):
        np.testing.assert_array_equal(batch["x"], rows.batch(step)["x"])


@pytest.mark.parametrize("size", [1, 3])
def test_at_most_size_items_are_ready(size):
    made, put = [], []

    def numbers():
        for i in range(10):
            made.append(i)
            yield i

    items = data.prefetch(numbers(), size=size, put=lambda x: put.append(x) or x)
    assert not made  # nothing before the first is asked for
    for i in range(3):
        assert next(items) == i
        wait_for(lambda: len(put) == i + 1 + size)
        time.sleep(0.01)
        assert len(made) == len(put) == i + 1 + size
    assert list(items) == list(range(3, 10))


def test_a_slow_iterable_is_waited_for():
    def slow():
        for i in range(3):
            time.sleep(0.01)
            yield i

    assert list(data.prefetch(slow(), put=same)) == [0, 1, 2]
    assert list(data.prefetch([], put=same)) == []


class Mine(BaseException):
    """Not an `Exception`, like the signals of some libraries."""


@pytest.mark.parametrize("error", [KeyError("no"), Mine("no")])
def test_an_exception_comes_where_the_item_would_have(error):
    def numbers():
        yield from (0, 1)
        raise error

    items = data.prefetch(numbers(), put=same)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(type(error)) as raised:
        next(items)
    assert raised.value is error
    assert list(items) == []
    items = data.prefetch(iter([1, 0]), put=lambda x: 1 / x)
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_a_closed_generator_ends_its_thread(threads):
    ended = threading.Event()

    def endless():
        try:
            while True:
                yield 0
        finally:
            ended.set()

    items = data.prefetch(endless(), put=same)
    next(items)
    assert threads() == 1
    items.close()
    wait_for(lambda: not threads())
    assert ended.is_set()
    assert list(items) == []
    data.prefetch(endless(), put=same).close()  # never started


def test_closing_does_not_wait_for_an_iterable_that_is_stuck(threads):
    go_on = threading.Event()

    def stuck():
        yield 0
        go_on.wait(5)
        yield 1

    items = data.prefetch(stuck(), put=same)
    next(items)
    start = time.monotonic()
    items.close()
    assert time.monotonic() - start < 1
    go_on.set()
    wait_for(lambda: not threads())


def test_a_generator_that_nobody_has_ends_its_thread(threads):
    for _ in range(20):
        for item in data.prefetch(iter(range(100)), put=same):
            if item == 3:
                break
    cycle = [data.prefetch(iter(range(100)), put=same)]
    cycle.append(cycle)
    next(cycle[0])
    del cycle
    gc.collect()
    wait_for(lambda: not threads())


def test_a_generator_may_be_collected_in_its_own_thread(threads):
    held = []

    def endless():
        while True:
            if held:
                held.clear()
                gc.collect()
            yield 0

    items = data.prefetch(endless(), put=same)
    next(items)
    cycle = [items]
    cycle.append(cycle)
    held.append(cycle)
    del items, cycle
    # Nobody takes an item any more, so that the thread has to be woken once.
    worker = next(t for t in threading.enumerate() if "prefetch" in t.name)
    worker.free.put(None)
    wait_for(lambda: not threads())


class Items:
    """Each waits until the one before it is gone."""

    def __init__(self):
        self.last = lambda: None

    def __iter__(self):
        return self

    def __next__(self):
        wait_for(lambda: self.last() is None)
        item = np.zeros(3)
        self.last = weakref.ref(item)
        return item


def test_items_are_not_kept():
    items = data.prefetch(Items(), size=1, put=same)
    for _ in range(3):
        assert next(items).shape == (3,)
    items.close()


def test_arguments():
    with pytest.raises(ValueError, match=r"`size` must lie in \[1, "):
        data.prefetch([], size=0)
    with pytest.raises(TypeError, match="not iterable"):
        data.prefetch(3)  # pyright: ignore


def test_the_process_ends_while_a_thread_is_blocked():
    code = """
import numpy as np
from gdjax import data
rows = data.source(np.ones((1000, 50)), 10, seed=0)
def endless():
    step = 0
    while True:
        yield rows.batch(step)
        step += 1
items = data.prefetch(endless())
print(next(items).shape, flush=True)
"""
    command = [sys.executable, "-P", "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(10, 50)\n", "")
