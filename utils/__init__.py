"""Helpers of the scripts. Importing them silences remarks of packages that a user cannot act on."""

import logging
import warnings

import PIL.Image  # noqa: F401 (before Paddle: after Paddle 2.6 Pillow 13 cannot read PNG files)

warnings.filterwarnings("ignore", message="No ccache found")
warnings.filterwarnings("ignore", message="When training, we now always track global mean")
logging.getLogger("matplotlib.font_manager").setLevel(logging.WARNING)  # that it has looked for fonts
