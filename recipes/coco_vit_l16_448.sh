#!/usr/bin/env bash
# COCO 2014, ViT-L/16 at 448 px, H = 8: 86.5 mAP in the original.
# Not measured here: there was no GPU.
# The original publishes neither command nor lambda for it, and its code makes ViTs for 224 px alone. Lambda 1
# is that of the commands of a later work on its code (Zunair & Ben Hamza, WACV 2024; 224 px).
# Needs data/coco (utils/prepare/prepare_coco.py).
# What the command does not say is the default, which is the original's recipe.
# Usage: recipes/coco_vit_l16_448.sh [FURTHER OPTIONS OF train.py]
set -euo pipefail
python train.py --dataset coco --model vit_l16 \
    --img_size 448 --num_heads 8 --lam 1 \
    --save_dir checkpoint/coco_vit_l16_448 "$@"
