"""What a user can get wrong, told in one line on standard error with exit code 2."""

import os
import sys


class UserError(Exception):
    """A mistake of the user: one line saying what, where and what to do."""


def run_script(main, parse_args):
    """Run main(parse_args()) and end the process as every script here does.

    Exit code: what main returns (None counts as 0), 2 for a UserError (one line
    `error: ...` on standard error), 130 for Ctrl-C. Any other exception is a
    fault of ours and keeps its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # names of files may hold bytes that are no text
    try:
        code = main(parse_args())
        sys.stdout.flush()
    except UserError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # the reader of our output went away: `predict.py | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    sys.exit(code)
