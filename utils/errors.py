"""What a user can get wrong, told in one line on standard error with exit code 2."""

import errno
import os
import signal
import sys
from contextlib import contextmanager

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a full disk says
LONGEST = 1000  # characters of a message; names in a damaged file may be megabytes


class Interrupted(Exception):
    """A signal asked the process to end, and it has saved what it was at. number: that of the signal."""

    def __init__(self, number, said):
        super().__init__(said)
        self.number = number


class UserError(Exception):
    """A mistake of the user: one line saying what, where and what to do.

    The text is made printable: one line, control characters (of a hostile file or an
    odd file name) as escapes, and not endless.
    """

    def __init__(self, text):
        super().__init__(printable(text))


def printable(text, most=LONGEST):
    """`text` as one line that a terminal shows as it is; the middle of more than `most` characters is cut."""
    if len(text) > most:
        text = f"{text[: most // 2]} ... {text[-most // 2 :]}"
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def print_error(error):
    """Say one line `error: ...` on standard error."""
    print(f"error: {error}", file=sys.stderr)


def run_script(main, parse_args):
    """Run main(parse_args()) and end the process as every script here does.

    Exit code: what main returns (None counts as 0), 2 for a UserError (one line
    `error: ...` on standard error), 130 for Ctrl-C, 143 for a SIGTERM after which it tidied up. Any
    other exception is a fault of ours and keeps its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # names of files may hold bytes that are no text
    try:
        with _tidy_end():
            code = main(parse_args())
            sys.stdout.flush()
    except UserError as error:
        print_error(error)
        code = 2
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        code = 128 + stop.number
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # the reader of our output went away: `predict.py | head`
        code = 141
    except OSError as error:
        if error.errno not in FULL:
            raise
        print_error(f"cannot write: {error.strerror}; free some space, or write somewhere else")
        code = 2
    try:
        sys.stdout.flush()
    except OSError:  # Python would try again, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


@contextmanager
def _tidy_end():
    """SIGTERM within the block raises Interrupted, so that unfinished files and temporary folders go.

    Not where it is ignored, and not in one of several processes, which may wait for the others in code that
    heeds no signal: there it kills.
    """
    several = os.environ.get("PADDLE_TRAINERS_NUM", "1") != "1"
    before = signal.getsignal(signal.SIGTERM)
    if several or before in (signal.SIG_IGN, None):  # None: not Python's to change
        yield
        return
    signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number, _):
    raise Interrupted(number, "ended")
