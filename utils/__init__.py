"""Helpers of the scripts. Importing them silences remarks of Paddle that a user cannot act on."""

import warnings

import PIL.Image  # noqa: F401 (before Paddle: after Paddle 2.6 Pillow 13 cannot read PNG files)

warnings.filterwarnings("ignore", message="No ccache found")
warnings.filterwarnings("ignore", message="When training, we now always track global mean")
