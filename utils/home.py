"""A home folder for packages that write to one without being asked."""

import os
import tempfile
from contextlib import contextmanager, nullcontext

from utils.errors import UserError


@contextmanager
def new_home(within=None):
    """Within the block HOME is a new folder, which goes at the end; in `within`, or with temporary files."""
    try:
        place = tempfile.TemporaryDirectory(prefix=".home.", dir=within)
    except OSError as error:
        raise UserError(f"no folder for temporary files ({error.strerror}); name one by TMPDIR") from None
    before = os.environ.get("HOME")
    with place as folder:
        os.environ["HOME"] = folder
        try:
            yield
        finally:
            del os.environ["HOME"]
            if before is not None:
                os.environ["HOME"] = before


def writable_home():
    """The same where the user's home cannot be written; else nothing happens."""
    effective = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    return nullcontext() if os.access(os.path.expanduser("~"), os.W_OK, **effective) else new_home()
