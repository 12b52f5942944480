"""Feature maps of a frozen trunk, computed once and kept on disk.

The trunk runs as Paddle Inference runs it: on a CPU with oneDNN several times as fast as
Paddle's dynamic graph, and with equal maps but for rounding.
"""

import hashlib
import json
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import paddle
from tqdm import tqdm

from datasets.loader import Loader
from models import normalize
from utils.deploy import RESIZE
from utils.engines import open_engine
from utils.errors import UserError
from utils.export import save_paddle
from utils.files import atomic_path

FORMAT = 1  # of the cache; a change of how maps are made makes old ones useless
BATCH = 16  # photos at once
VIEWS = {"plain": slice(None), "mirrored": slice(None, None, -1)}  # name -> columns of a photo (S, S, 3)


class Trunk(paddle.nn.Layer):
    """Photos (B, S, S, 3) uint8 -> feature maps (B, D, h, w) float32."""

    def __init__(self, backbone, normalization):
        super().__init__()
        self.backbone = backbone
        self.normalization = normalization

    def forward(self, photos):
        return self.backbone(normalize(photos, **self.normalization))


def cached_features(
    backbone, normalization, records, size, folder, views=("plain",), use_gpu=False, workers=0
):
    """Feature maps of the photos of `records`, squashed to size x size: a list of arrays, one a view.

    Each is (N, D, h, w) float16, mapped from a file in `folder` whose name is made of
    everything that shapes it: the trunk's weights, size and normalisation, and the
    photos' paths, sizes and times. What is not there is computed, with a progress bar, and
    appears whole or not at all. Raises UserError for a photo that cannot be read, a
    folder that cannot be written, and maps that float16 cannot hold.
    """
    key = _key(backbone, normalization, records, size)
    paths = {view: Path(folder) / f"{key}_{view}.npy" for view in views}
    missing = {view: path for view, path in paths.items() if not path.exists()}
    if missing:
        run = _open_trunk(backbone, normalization, size, use_gpu)
        _compute(run, Loader(records, size, BATCH, num_workers=workers), missing)
    print(f"feature maps of {len(records)} photos: {'computed' if missing else 'found'}, in {folder}")
    return [np.load(path, mmap_mode="r") for path in paths.values()]


def _open_trunk(backbone, normalization, size, use_gpu):
    with tempfile.TemporaryDirectory() as scratch:
        graph, _ = save_paddle(Trunk(backbone, normalization), size, Path(scratch))
        return open_engine(graph, use_gpu=use_gpu).run


def _compute(run, loader, paths):
    """Run the trunk on all photos and write the maps of each view to its path."""
    written = {}
    with ExitStack() as stack:
        files = {view: stack.enter_context(atomic_path(path)) for view, path in paths.items()}
        for batch in tqdm(loader.epoch(), total=len(loader), desc="trunk", leave=False, disable=None):
            for view, file in files.items():
                photos = np.ascontiguousarray(batch.photos[:, :, VIEWS[view]])
                with np.errstate(over="ignore"):  # told below
                    maps = run(photos).astype("<f2")  # (B, D, h, w)
                if not np.isfinite(maps).all():
                    raise UserError(
                        "the trunk's feature maps are beyond float16; train without --freeze_backbone"
                    )
                if view not in written:
                    written[view] = stack.enter_context(open(file, "wb"))
                    shape = (len(loader.records), *maps.shape[1:])
                    header = {"descr": "<f2", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(written[view], header)
                written[view].write(maps.tobytes())  # not by a memory map: a full disk would kill the process


def _key(backbone, normalization, records, size):
    """A digest of everything that the maps depend on."""
    digest = hashlib.sha256()
    for name, value in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value.numpy()))
    photos = []
    for path, box in zip(records.paths, records.boxes, strict=True):
        about = os.stat(path)
        photos.append([path, about.st_size, about.st_mtime_ns, box])
    rest = [FORMAT, type(backbone).__name__, size, RESIZE, normalization, photos]
    digest.update(json.dumps(rest).encode())
    return digest.hexdigest()[:16]
