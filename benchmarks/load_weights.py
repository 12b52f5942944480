"""Time and memory of loading one of the original's checkpoints.

python benchmarks/load_weights.py FILE.pth MODEL LAMBDA     (for example resnet101_csra_h4.pth resnet101 0.5)

Prints seconds (model built, file read, weights set), the growth of the process's peak
memory, and what the growth may be: the model plus 1.2 times the file.
"""

import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from utils.checkpoint import load_checkpoint  # noqa: E402
from utils.device import choose_device  # noqa: E402


def peak():
    """Peak memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(path, name, lam):
    choose_device("cpu")
    before, begin = peak(), time.perf_counter()
    model, _ = load_checkpoint(path, model=name, lam=lam, img_size=448, dataset="voc07")
    seconds, grown = time.perf_counter() - begin, peak() - before
    size = Path(path).stat().st_size / 2**20
    parameters = sum(value.numpy().nbytes for value in model.state_dict().values()) / 2**20
    print(f"{Path(path).name}: {size:.0f} MiB, loaded in {seconds:.2f} s")
    print(f"peak memory grew by {grown:.0f} MiB; model + 1.2 x file is {parameters + 1.2 * size:.0f} MiB")
    return int(grown > parameters + 1.2 * size)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
