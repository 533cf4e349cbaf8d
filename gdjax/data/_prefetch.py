"""A thread that makes the next items, while this one is used."""

import atexit
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar

import jax

from gdjax._checks import integer

T = TypeVar("T")
S = TypeVar("S")
_AT_EXIT = 5.0  # seconds that an item in the making may hold up the end of the process


def prefetch(
    iterable: Iterable[T],
    *,
    size: int = 2,
    put: Callable[[T], S] = jax.device_put,
) -> Generator[S, None, None]:
    """Items of `iterable`, made and moved to the device before they are asked for.

    A thread runs the iterable, applies `put` to each item and keeps at most `size`
    ready. It starts with the first item that is asked for, and ends with the last one,
    with an exception, or when the generator is closed or no longer used: after the item
    that it is making, if it is at one. An exception of the iterable or of `put` is
    raised where the item would have come.

    The iterable runs in that thread alone, and contexts of the caller's thread such as
    `jax.default_device` do not hold there: give a `put` that says what it needs.

    Args:
      iterable: of any items, such as the batches `source.batch(step)`; it may be
        endless.
      size: items kept ready, >= 1.
      put: applied to each item, in the thread: by default the move to the default
        device.

    Returns:
      A generator of the items, in their order.

    Raises:
      ValueError: `size` lies outside its range.
      TypeError: `size` is no integer, or `iterable` cannot be iterated over.

    Example:
      >>> batches = gd.data.source(np.arange(6.0), 3, seed=0)
      >>> for batch in prefetch(batches.batch(step) for step in range(2)):
      ...     print(type(batch).__name__, batch.shape)
      ArrayImpl (3,)
      ArrayImpl (3,)
    """
    return _prefetched(iter(iterable), integer("size", size, 1), put)


class _Worker(threading.Thread, Generic[T, S]):
    """Makes one item for each place that is free.

    It knows nothing of the generator, so that the generator can be collected. That can
    happen in any thread at any time, in this one too: `SimpleQueue.put` may then be
    called where a lock may not be taken.
    """

    def __init__(self, items: Iterator[T], put: Callable[[T], S]):
        super().__init__(name="gdjax.data.prefetch", daemon=True)
        self.free: SimpleQueue[None] = SimpleQueue()
        # (item,), or what it ended with: None or an exception.
        self.ready: SimpleQueue[tuple[S] | BaseException | None] = SimpleQueue()
        self._items, self._put, self.stopped = items, put, False

    def run(self) -> None:
        try:
            while True:
                self.free.get()
                if self.stopped:
                    return
                try:
                    item = next(self._items)
                except StopIteration:
                    self.ready.put(None)
                    return
                self.ready.put((self._put(item),))
                del item  # not kept while this waits
        except BaseException as error:  # raised again where the item is waited for
            self.ready.put(error)
        finally:
            del self._items, self._put  # what they hold may be large

    def stop(self) -> None:
        self.stopped = True
        self.free.put(None)

    def end(self) -> None:
        self.stop()
        self.join(_AT_EXIT)


def _prefetched(
    items: Iterator[T], size: int, put: Callable[[T], S]
) -> Generator[S, None, None]:
    worker = _Worker(items, put)
    # A thread inside XLA while Python ends can bring the process down.
    atexit.register(worker.end)
    try:
        for _ in range(size):
            worker.free.put(None)
        worker.start()
        while isinstance(got := worker.ready.get(), tuple):
            worker.free.put(None)
            yield got[0]
            del got  # not kept while the next one is waited for
        if got is not None:
            raise got
    finally:
        got = None  # its traceback holds this frame
        if not worker.stopped:  # by the end of the process, which has no atexit left
            worker.stop()
            atexit.unregister(worker.end)
