"""Ending a training where it can go on: Ctrl-C and SIGTERM let the step that runs come to its end."""

import signal
from contextlib import contextmanager

from utils.errors import Interrupted


@contextmanager
def interruptible():
    """Yield a function that tells the number of the SIGINT or SIGTERM that came within the block, or None.

    The block goes on after the first; a second one acts as usual. Raises Interrupted at the
    end of a block that did not end for it. What the process ignores, as behind nohup, is ignored.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    taken = [number for number in numbers if before[number] not in (signal.SIG_IGN, None)]
    came = []

    def keep(number, _):
        came.append(number)
        restore()

    def restore():
        for number in taken:
            signal.signal(number, before[number])

    try:
        for number in taken:
            signal.signal(number, keep)
        yield lambda: came[0] if came else None
    finally:
        restore()
    if came:
        raise Interrupted(came[0], "interrupted; go on with --resume auto")
