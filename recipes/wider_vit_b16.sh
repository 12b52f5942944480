#!/usr/bin/env bash
# WIDER Attribute, ViT-B/16 at 224 px, H = 1, lambda 0.3: 89.0 mAP in the original.
# Not measured here: there was no GPU.
# Needs data/wider (utils/prepare/prepare_wider.py).
# What the command does not say is the default, which is the original's recipe.
# Usage: recipes/wider_vit_b16.sh [FURTHER OPTIONS OF train.py]
set -euo pipefail
python train.py --dataset wider --model vit_b16 \
    --img_size 224 --num_heads 1 --lam 0.3 \
    --save_dir checkpoint/wider_vit_b16 "$@"
