"""Helpers of the scripts. Importing them tells in a line what is not installed, as when the environment is
not activated, and silences remarks of packages that a user cannot act on."""

import logging
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path


def _check_installed():
    """End the process, as for any mistake, where modules of requirements.txt are missing."""
    needed = ["PIL", "defusedxml", "numpy", "tqdm"]
    if Path(sys.argv[0]).resolve().parent.name != "prepare":  # whose scripts do without
        needed.append("paddle")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        print(
            f"error: {sys.executable} has no {', '.join(missing)}; activate the environment of the "
            "installation (. .venv/bin/activate), or pip install -r requirements.txt",
            file=sys.stderr,
        )
        sys.exit(2)


_check_installed()

import PIL.Image  # noqa: E402, F401 (before Paddle: after Paddle 2.6 Pillow 13 cannot read PNG files)

warnings.filterwarnings("ignore", message="No ccache found")
warnings.filterwarnings("ignore", message="When training, we now always track global mean")
logging.getLogger("matplotlib.font_manager").setLevel(logging.WARNING)  # that it has looked for fonts
