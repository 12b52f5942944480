#!/usr/bin/env bash
# COCO 2014, ResNet-101, H = 4, lambda 0.5: 83.3 mAP in the original.
# Not measured here: there was no GPU.
# The original's README has 4 heads in text, table and validation command, and 6 in the training command.
# Needs data/coco (utils/prepare/prepare_coco.py).
# What the command does not say is the default, which is the original's recipe.
# Usage: recipes/coco_resnet101.sh [FURTHER OPTIONS OF train.py]
set -euo pipefail
python train.py --dataset coco --model resnet101 \
    --img_size 448 --num_heads 4 --lam 0.5 \
    --save_dir checkpoint/coco_resnet101 "$@"
