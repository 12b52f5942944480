"""Helpers of the scripts. Importing them silences remarks of Paddle that a user cannot act on."""

import warnings

warnings.filterwarnings("ignore", message="No ccache found")
warnings.filterwarnings("ignore", message="When training, we now always track global mean")
