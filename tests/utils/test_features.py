"""The cache of feature maps: what is in it, what is computed anew, and that nothing half-made stays."""

import os
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn

from datasets.loader import Loader
from datasets.records import Records
from models import normalize
from utils import features
from utils.errors import UserError
from utils.features import cached_features

NORMALIZATION = {"mean": [0.3, 0.5, 0.6], "std": [0.5, 0.4, 0.3]}  # no two channels alike
SIZE = 16


@pytest.fixture
def trunk():
    """Convolution, batch norm with settled statistics, and ReLU: photos of 16 px -> maps (B, 4, 7, 7)."""
    paddle.seed(0)
    layers = nn.Sequential(nn.Conv2D(3, 4, 3, stride=2), nn.BatchNorm2D(4), nn.ReLU())
    for _ in range(5):
        layers(paddle.randn([4, 3, SIZE, SIZE]) * 2 + 1)
    layers.eval()
    return layers


@pytest.fixture
def records(make_photo):
    paths = [make_photo(f"{i}.png", width=20 + i, seed=i) for i in range(5)]
    return Records(paths, np.zeros((5, 2), "int8"), [None] * 3 + [[2, 2, 9, 9]] * 2)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(features, "BATCH", 2)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "features"


@pytest.fixture
def seen(monkeypatch):
    """In place of the trunk: maps are pixels divided by 4; a list of the batches that it was given."""
    batches = []

    def run(photos):
        batches.append(photos)
        return as_maps(photos)

    monkeypatch.setattr(features, "_open_trunk", lambda *_: run)
    return batches


def as_maps(photos):
    return photos.transpose(0, 3, 1, 2).astype("float32") / 4


def photos_of(records):
    """All photos (N, S, S, 3), squashed."""
    return next(Loader(records, SIZE, len(records)).epoch()).photos


def maps_of(trunk, photos):
    """What Paddle's dynamic graph makes of photos."""
    with paddle.no_grad():
        return trunk(normalize(np.ascontiguousarray(photos), **NORMALIZATION)).numpy()


def cache(trunk, records, folder, *views, **options):
    return cached_features(trunk, NORMALIZATION, records, SIZE, folder, views or ("plain",), **options)


def not_again(*_):
    raise AssertionError("the trunk was run again")


# --- what is in it


def test_maps_are_those_of_the_trunk_plain_and_mirrored(trunk, records, folder):
    plain, mirrored = cache(trunk, records, folder, "plain", "mirrored", workers=2)
    photos = photos_of(records)
    for maps, expected in ((plain, photos), (mirrored, photos[:, :, ::-1])):
        assert (maps.shape, maps.dtype) == ((5, 4, 7, 7), np.float16)
        np.testing.assert_allclose(maps, maps_of(trunk, expected), rtol=2**-10, atol=1e-5)
    assert not np.allclose(plain, mirrored, atol=0.1)


def test_the_trunk_is_left_as_it_was(trunk, records, folder):
    before = {name: value.numpy() for name, value in trunk.state_dict().items()}
    expected = maps_of(trunk, photos_of(records))
    cache(trunk, records, folder)
    assert not trunk.training
    for name, value in trunk.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    np.testing.assert_array_equal(maps_of(trunk, photos_of(records)), expected)


def test_views_come_as_they_were_asked_for(trunk, records, folder, seen):
    mirrored, plain = cache(trunk, records, folder, "mirrored", "plain")
    photos = photos_of(records)
    np.testing.assert_array_equal(plain, as_maps(photos))
    np.testing.assert_array_equal(mirrored, as_maps(photos[:, :, ::-1]))


# --- what is computed anew


def test_what_is_there_is_not_computed_again(trunk, records, folder, monkeypatch, capsys):
    first = cache(trunk, records, folder, "plain", "mirrored")
    assert capsys.readouterr().out == f"feature maps of {len(records)} photos: computed, in {folder}\n"
    monkeypatch.setattr(features, "_open_trunk", not_again)
    again = cache(trunk, records, folder, "plain", "mirrored", workers=3)
    assert capsys.readouterr().out == f"feature maps of {len(records)} photos: found, in {folder}\n"
    for ours, expected in zip(again, first, strict=True):
        np.testing.assert_array_equal(ours, expected)
    (plain,) = cache(trunk, records, folder)
    np.testing.assert_array_equal(plain, first[0])


def test_only_the_view_that_is_missing_is_computed(trunk, records, folder, seen):
    (first,) = cache(trunk, records, folder)
    (file,) = folder.iterdir()
    before = file.stat()
    seen.clear()
    plain, mirrored = cache(trunk, records, folder, "plain", "mirrored")
    np.testing.assert_array_equal(np.concatenate(seen), photos_of(records)[:, :, ::-1])
    np.testing.assert_array_equal(plain, first)
    np.testing.assert_array_equal(mirrored, as_maps(photos_of(records)[:, :, ::-1]))
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def change_weight(trunk, records):
    weight = trunk[0].weight.numpy()
    weight[0, 0, 0, 0] *= 1.00001
    trunk[0].weight.set_value(weight)


def change_statistic(trunk, records):
    trunk[1]._mean[1] += 1e-3


def change_photo(trunk, records):
    """Other content of the same length, a nanosecond later."""
    about, content = os.stat(records.paths[2]), Path(records.paths[2]).read_bytes()
    Path(records.paths[2]).write_bytes(content[:-1] + b"\0")
    os.utime(records.paths[2], ns=(about.st_atime_ns, about.st_mtime_ns + 1))


def change_length(trunk, records):
    """One byte more, at the same time."""
    about = os.stat(records.paths[2])
    with open(records.paths[2], "ab") as file:
        file.write(b"\0")
    os.utime(records.paths[2], ns=(about.st_atime_ns, about.st_mtime_ns))


def change_box(trunk, records):
    records.boxes[4] = [2, 2, 9, 8]


def change_order(trunk, records):
    records.paths[:2] = reversed(records.paths[:2])


def change_name(trunk, records):
    """Another path may be another photo of the same length and time."""
    os.rename(records.paths[2], f"{records.paths[2]}.png")
    records.paths[2] += ".png"


@pytest.mark.parametrize(
    "change",
    [change_weight, change_statistic, change_photo, change_length, change_box, change_order, change_name],
    ids=lambda change: change.__name__,
)
def test_other_weights_and_other_photos_are_other_maps(trunk, records, folder, seen, change):
    cache(trunk, records, folder)
    change(trunk, records)
    seen.clear()
    (maps,) = cache(trunk, records, folder)
    assert len(list(folder.iterdir())) == 2
    np.testing.assert_array_equal(maps, as_maps(np.concatenate(seen)))


@pytest.mark.parametrize(
    "other",
    [
        {"size": SIZE + 1},
        {"normalization": {**NORMALIZATION, "mean": [0.3, 0.5, 0.61]}},
        {"normalization": {**NORMALIZATION, "std": [0.5, 0.4, 0.31]}},
    ],
    ids=["size", "mean", "std"],
)
def test_another_size_or_normalisation_are_other_maps(trunk, records, folder, seen, other):
    given = {"backbone": trunk, "normalization": NORMALIZATION, "records": records, "size": SIZE}
    for settings in (given, {**given, **other}):
        cached_features(folder=folder, **settings)
    assert len(list(folder.iterdir())) == 2


def test_another_kind_of_trunk_has_other_maps(trunk, records, folder, seen):
    class Other(nn.Sequential):
        """Of the same weights."""

    for layers in (trunk, Other(*trunk)):
        cache(layers, records, folder)
    assert len(list(folder.iterdir())) == 2


def test_labels_are_no_part_of_the_maps(trunk, records, folder, seen, monkeypatch):
    cache(trunk, records, folder)
    monkeypatch.setattr(features, "_open_trunk", not_again)
    cache(trunk, Records(records.paths, records.labels + 1, records.boxes), folder)


# --- nothing half-made stays


def test_an_unreadable_photo_is_told_and_leaves_no_file(trunk, records, folder, seen):
    Path(records.paths[4]).write_bytes(b"no photo")
    with pytest.raises(UserError, match=r"cannot read photo .*4\.png"):
        cache(trunk, records, folder, "plain", "mirrored")
    assert len(seen) == 4  # two batches in two views were well
    assert not folder.exists()


@pytest.mark.parametrize("value", [1e6, -1e6, np.inf, np.nan])
def test_maps_beyond_float16_are_told_and_leave_no_file(trunk, records, folder, monkeypatch, value):
    values = iter([1, 1, value])  # of the batches

    def run(photos):
        return np.full((len(photos), 4, 7, 7), next(values), "float32")

    monkeypatch.setattr(features, "_open_trunk", lambda *_: run)
    with pytest.raises(UserError, match="beyond float16; train without --freeze_backbone"):
        cache(trunk, records, folder)
    assert not folder.exists()


def test_a_trunk_beyond_float16_is_told_in_our_words_alone(trunk, records, folder, recwarn):
    trunk[1].weight.set_value(trunk[1].weight * 1e6)
    with pytest.raises(UserError, match="beyond float16"):
        cache(trunk, records, folder)
    assert not [warning for warning in recwarn if warning.category is RuntimeWarning]


def test_a_folder_that_cannot_be_made_is_told(trunk, records, tmp_path, seen):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        cache(trunk, records, tmp_path / "file/features")


def test_an_interrupted_computation_leaves_what_was_there(trunk, records, folder, monkeypatch, seen):
    cache(trunk, records, folder)
    before = os.listdir(folder)

    def interrupt(photos):
        raise KeyboardInterrupt

    monkeypatch.setattr(features, "_open_trunk", lambda *_: interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache(trunk, records, folder, "plain", "mirrored")
    assert os.listdir(folder) == before
