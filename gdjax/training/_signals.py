"""Ctrl-C and SIGTERM: the first asks a run to stop, a second one ends it at once."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STOPPING = (signal.SIGINT, signal.SIGTERM)


class Request:
    """What was asked for: the name of the signal, or `None`."""

    def __init__(self) -> None:
        self.name: str | None = None


@contextmanager
def stop_requests(*, caught: bool = True) -> Iterator[Request]:
    """Catches SIGINT and SIGTERM while it is open; the first becomes a `Request`.

    The second leaves with status 130 or 143, even where the main thread is inside a
    compilation and runs no Python: a thread of its own counts them. Outside the main
    thread, which alone may catch signals, none is; nor where they are not to be.
    """
    request = Request()
    if not caught or threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(number: int, frame: object) -> None:
        del frame
        request.name = signal.Signals(number).name

    def leave_at_the_second() -> None:
        seen = 0
        while number := reader.recv(1):  # b"" when closed
            seen += number[0] in _STOPPING
            if seen == 2:
                os._exit(128 + number[0])

    reader, writer = socket.socketpair()
    writer.setblocking(False)
    watcher = threading.Thread(target=leave_at_the_second, daemon=True)
    watcher.start()
    before = {number: signal.signal(number, ask) for number in _STOPPING}
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield request
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        writer.close()
        watcher.join()
        reader.close()
