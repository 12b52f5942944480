"""Ending a training where it can go on: Ctrl-C and SIGTERM let the step that runs come to its end."""

import signal
from contextlib import contextmanager


@contextmanager
def interruptible():
    """Yield a function that tells the number of the SIGINT or SIGTERM that came within the block, or None.

    The block goes on after the first; a second one acts as usual.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    came = []

    def keep(number, _):
        came.append(number)
        restore()

    def restore():
        for each in numbers:
            signal.signal(each, before[each])

    before = {number: signal.signal(number, keep) for number in numbers}
    try:
        yield lambda: came[0] if came else None
    finally:
        restore()
