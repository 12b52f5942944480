import utils  # noqa: F401 (it tells what is not installed)
