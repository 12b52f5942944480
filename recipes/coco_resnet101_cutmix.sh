#!/usr/bin/env bash
# COCO 2014, ResNet-101 pretrained with CutMix, H = 6, lambda 0.4: 85.6 mAP in the original.
# Not measured here: there was no GPU.
# CutMix_ResNet101.pth is the original's file, linked in its README; --pretrained PATH takes it from elsewhere.
# Needs data/coco (utils/prepare/prepare_coco.py).
# What the command does not say is the default, which is the original's recipe.
# Usage: recipes/coco_resnet101_cutmix.sh [FURTHER OPTIONS OF train.py]
set -euo pipefail
python train.py --dataset coco --model resnet101 --pretrained CutMix_ResNet101.pth \
    --img_size 448 --num_heads 6 --lam 0.4 \
    --save_dir checkpoint/coco_resnet101_cutmix "$@"
