#!/usr/bin/env bash
# VOC 2007, ResNet-101, H = 1, lambda 0.1: 94.7 mAP in the original.
# Not measured here: there was no GPU.
# Needs data/voc07 (utils/prepare/prepare_voc.py).
# What the command does not say is the default, which is the original's recipe.
# Usage: recipes/voc07_resnet101.sh [FURTHER OPTIONS OF train.py]
set -euo pipefail
python train.py --dataset voc07 --model resnet101 \
    --img_size 448 --num_heads 1 --lam 0.1 \
    --save_dir checkpoint/voc07_resnet101 "$@"
