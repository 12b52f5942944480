#!/usr/bin/env bash
# The whole way on pictures that the project draws itself: make data, train, evaluate, predict.
# Usage: bash utils/demo.sh [PYTHON]; everything goes to demo/, which is made anew.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
out=demo

train() { # train LAMBDA SAVE_DIR
    "$python" train.py --dataset $out/labels --lam "$1" --save_dir "$2" --model resnet18 --pretrained none \
        --img_size 96 --batch_size 4 --total_epoch 2 --warmup_epoch 0 --poly_decay True --lr 0.02 \
        --train_aug randomflip --keep 1
}

rm -rf $out
echo "== 1/5 draw pictures"
"$python" utils/prepare/make_shapes.py --out_dir $out
"$python" utils/prepare/prepare_voc.py --data_path $out/VOCdevkit --classes $out/classes.txt --out_dir $out/labels
echo "== 2/5 train, with residual attention (lambda 0.1) and without (lambda 0)"
train 0.1 $out/csra
train 0 $out/baseline
echo "== 3/5 evaluate on pictures not seen in training"
for run in csra baseline; do
    "$python" val.py --load_from $out/$run/resnet18/last.pdparams --out $out/$run/results
done
echo "== 4/5 predict"
"$python" predict.py --load_from $out/csra/resnet18/last.pdparams --img_dir utils/demo_images
photos=$("$python" -c 'import site, pathlib
names = ("sklearn/datasets/images/*.jpg", "matplotlib/mpl-data/sample_data/*.jpg")
print(*(p for d in site.getsitepackages() for n in names for p in pathlib.Path(d).glob(n)), sep="\n")')
if [ -n "$photos" ]; then
    echo "== 5/5 the weights that ship with the project, on photos that an installed package brings"
else
    echo "== 5/5 the weights that ship with the project, on the drawn pictures, for want of photos: they know none of it"
    photos=utils/demo_images
fi
mapfile -t photos <<<"$photos"
"$python" predict.py --img_dir "${photos[@]}"
"$python" - $out <<'END'
import json
import sys

out = sys.argv[1]
mAP = {run: json.load(open(f"{out}/{run}/results/metrics.json"))["mAP"] for run in ("csra", "baseline")}
print(f"mAP on {out}'s test pictures: {mAP['csra']:.4f} with residual attention (lambda 0.1), "
      f"{mAP['baseline']:.4f} without (lambda 0)")
print(f"pictures: {out}/VOCdevkit   label files: {out}/labels   figures: {out}/csra/results, {out}/baseline/results")
print(f"checkpoints and logs: {out}/csra/resnet18, {out}/baseline/resnet18")
END
