"""Recipes: the commands that they start, beside the table and the commands of the original's README."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from datasets.spec import SPECS
from models import SIZED_TRUNKS, TRUNKS
from models.csra import TEMPERATURES
from train import parse_args

REPO = Path(__file__).resolve().parents[2]
RECIPES = sorted((REPO / "recipes").iterdir())
CUTMIX = "CutMix_ResNet101.pth"
PUBLISHED = {  # mAP, data set, trunk, its weights, px, heads, lambda
    "voc07_resnet101": (94.7, "voc07", "resnet101", "imagenet", 448, 1, 0.1),
    "voc07_resnet101_cutmix": (95.2, "voc07", "resnet101", CUTMIX, 448, 1, 0.1),
    "coco_resnet101": (83.3, "coco", "resnet101", "imagenet", 448, 4, 0.5),
    "coco_resnet101_cutmix": (85.6, "coco", "resnet101", CUTMIX, 448, 6, 0.4),
    "coco_vit_l16_448": (86.5, "coco", "vit_l16", "imagenet", 448, 8, 1.0),
    "wider_vit_b16": (89.0, "wider", "vit_b16", "imagenet", 224, 1, 0.3),
    "wider_vit_l16": (90.2, "wider", "vit_l16", "imagenet", 224, 1, 0.3),
}
SCHEDULE = dict(batch_size=16, lr=0.01, momentum=0.9, w_d=1e-4, warmup_epoch=2, total_epoch=30)


@pytest.fixture
def commands(tmp_path):
    """commands(recipe, *arguments): what the recipe has python do, a list of lists of arguments."""
    stub = tmp_path / "bin/python"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\nprintf "%s\\0" "$@" "" >>"$STUB_LOG"\n')
    stub.chmod(0o755)

    def run(recipe, *arguments):
        log = tmp_path / "log"
        paths = {"PATH": f"{stub.parent}:{os.environ['PATH']}", "STUB_LOG": str(log)}
        subprocess.run([recipe, *arguments], cwd=REPO, env={**os.environ, **paths}, check=True)
        return [call.split("\0") for call in log.read_text().removesuffix("\0\0").split("\0\0")]

    return run


def test_there_is_one_for_each_published_figure():
    assert {path.stem for path in RECIPES} == {*PUBLISHED, "shipped_weights"}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_every_recipe_starts_trainings_that_exist(recipe, commands):
    assert recipe.stat().st_mode & stat.S_IXUSR
    calls = commands(recipe, *(["VOCDEVKIT", "OUT"] if recipe.stem == "shipped_weights" else []))
    assert all((REPO / call[0]).is_file() for call in calls)
    trainings = [parse_args(call[1:]) for call in calls if call[0] == "train.py"]
    assert trainings
    for args in trainings:
        assert args.model in {**TRUNKS, **SIZED_TRUNKS}
        assert args.dataset in SPECS
        assert args.num_heads in TEMPERATURES


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_is_the_originals_recipe(name, commands):
    (call,) = commands(REPO / f"recipes/{name}.sh")
    args = parse_args(call[1:])
    settings = (args.dataset, args.model, args.pretrained, args.img_size, args.num_heads, args.lam)
    assert settings == PUBLISHED[name][1:]
    assert {key: getattr(args, key) for key in SCHEDULE} == SCHEDULE
    assert (args.step_size, args.train_aug, args.poly_decay) == (None, None, False)  # the data set's


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_says_what_the_original_reached_and_what_was_measured_here(name):
    head = (REPO / f"recipes/{name}.sh").read_text().splitlines()[1:3]
    assert head[0].startswith("# ")
    assert head[0].endswith(f": {PUBLISHED[name][0]} mAP in the original.")
    assert "easured here" in head[1]


def test_further_options_reach_train(commands):
    (call,) = commands(RECIPES[0], "--seed", "7", "--save_dir", "a folder", "--keep=1")
    assert call[-5:] == ["--seed", "7", "--save_dir", "a folder", "--keep=1"]
    assert parse_args(call[1:]).save_dir == "a folder"


def test_recipes_write_to_folders_of_their_own(commands):
    calls = [commands(REPO / f"recipes/{name}.sh")[-1] for name in PUBLISHED]
    assert len({parse_args(call[1:]).save_dir for call in calls}) == len(PUBLISHED)
