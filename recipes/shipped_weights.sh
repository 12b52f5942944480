#!/usr/bin/env bash
# The weights in data/weights: EfficientNet-Lite2, frozen, with CSRA heads, on photos of VOC 2012. Some 40 minutes
# on two CPU cores. Figures: data/weights/README.md.
# Usage: bash recipes/shipped_weights.sh VOCDEVKIT OUT [PYTHON]
set -euo pipefail
devkit=$1 out=$2 python=${3:-python}

train() { # train LABELS NAME FURTHER_OPTIONS: what both runs share
    local labels=$1 name=$2
    shift 2
    "$python" train.py --dataset voc07 --data_dir "$labels" --save_dir "$out/$name" --model efficientnet_lite2 \
        --img_size 448 --freeze_backbone --init_heads data/voc_in_imagenet.json --num_heads 4 --lam 0.2 \
        --batch_size 64 --lr 0.005 --warmup_epoch 0 --poly_decay True --total_epoch 40 --keep 1 --seed 0 "$@"
}

prepare() {
    "$python" utils/prepare/prepare_voc.py --data_path "$devkit" --year 2012 "$@"
}

# the twin: trained on train, measured on val; what is said of the weights is measured on it
prepare --train_split train --test_split val --out_dir "$out/labels_twin"
train "$out/labels_twin" twin
"$python" benchmarks/shipped.py "$out"

# the weights themselves: all photos, nothing left to measure on
prepare --train_split trainval --test_split none --out_dir "$out/labels_all"
train "$out/labels_all" all --tranval False
"$python" utils/convert_weights.py "$out/all/efficientnet_lite2/last.pdparams" \
    data/weights/efficientnet_lite2_csra_voc12.pdparams --float16 --verify
