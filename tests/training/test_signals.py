"""Signals: the first is a request, the second ends the process whatever it does."""

import signal
import subprocess
import sys
import threading

import pytest

from gdjax.training._signals import stop_requests

# The main thread is inside one call of C code, where Python runs no handler.
PROGRAM = """
import ctypes, os, signal, sys, threading, time
from gdjax.training._signals import stop_requests
number = int(sys.argv[1])
def send():
    for _ in range(int(sys.argv[2])):
        time.sleep(0.1)
        os.kill(os.getpid(), number)
with stop_requests() as request:
    threading.Thread(target=send, daemon=True).start()
    ctypes.CDLL(None).poll(None, 0, 600)
    ctypes.CDLL(None).poll(None, 0, 600)
print(request.name)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_second_one_leaves_at_once(name):
    number = getattr(signal, name)
    for times, status, said in ((1, 0, f"{name}\n"), (2, 128 + number, "")):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(number.value), str(times)],
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout, done.stderr) == (status, said, "")


def test_handlers_are_put_back_and_other_threads_catch_nothing():
    before = signal.getsignal(signal.SIGTERM)
    with stop_requests() as request:
        assert signal.getsignal(signal.SIGTERM) is not before
        signal.raise_signal(signal.SIGTERM)
    assert request.name == "SIGTERM" and signal.getsignal(signal.SIGTERM) is before
    with stop_requests(caught=False) as request:
        assert signal.getsignal(signal.SIGTERM) is before
    seen = []

    def other():
        with stop_requests() as request:
            seen.append((request.name, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [(None, before)]
