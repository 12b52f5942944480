#!/usr/bin/env bash
# Make the photos and label files that a mode works on, in test_tipc/data/prepared and nowhere else.
# They are drawn, or taken from VOC 2007 where it is: $VOCDEVKIT, test_tipc/data/VOCdevkit, Dataset/VOCdevkit.
# Usage: [VOCDEVKIT=DIR] bash test_tipc/prepare.sh CONFIG MODE
set -euo pipefail
[[ $# == 2 ]] || { echo "usage: bash test_tipc/prepare.sh CONFIG MODE" >&2 && exit 2; }
config=$(realpath -m "$1")
if [[ -n ${VOCDEVKIT:-} ]]; then
    VOCDEVKIT=$(realpath -m "$VOCDEVKIT")
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=test_tipc/common_func.sh
source test_tipc/common_func.sh
read_config "$config" "$2"

data=test_tipc/data/prepared
declare -A number=(
    [trainval]=$(func_parser_params "${lines[52]}" "$mode")
    [test]=$(func_parser_params "${lines[53]}" "$mode")
)

draw() { # as many pictures as the config says; "all" leaves the number to the generator
    local options=()
    [[ ${number[trainval]} == all ]] || options+=("--train=${number[trainval]}")
    [[ ${number[test]} == all ]] || options+=("--test=${number[test]}")
    "$python" utils/prepare/make_shapes.py "--out_dir=$data" "${options[@]}"
    classes=$data/classes.txt
}

link_voc() { # link_voc VOCDEVKIT: its photos and annotations, with lists as long as the config says
    local voc=$1/VOC2007 ours=$data/VOCdevkit/VOC2007 split list
    for split in trainval test; do
        list=ImageSets/Main/$split.txt
        [[ -f $voc/$list ]] || fail "$voc/$list not found; unpack VOC 2007 with its test set, or unset VOCDEVKIT"
    done
    mkdir -p "$ours/ImageSets/Main"
    ln -s "$voc/JPEGImages" "$voc/Annotations" "$ours"
    for split in trainval test; do
        list=ImageSets/Main/$split.txt
        if [[ ${number[$split]} == all ]]; then
            cp "$voc/$list" "$ours/$list"
        else
            head -n "${number[$split]}" "$voc/$list" >"$ours/$list"
        fi
    done
    classes=voc
}

make_trunk() { # make_trunk MODEL: weights to start a short training from, where none are to be downloaded
    # A deep trunk of random weights magnifies rounding until fp32 differs by 1e-4 and bf16 by all there is.
    # With residual branches scaled down it is as steady as a trained one, and a score can be compared.
    "$python" - "$1" "$data/trunk.pdparams" <<'END'
import sys

import paddle

name, path = sys.argv[1:]
paddle.seed(0)
weights = getattr(paddle.vision.models, name)(pretrained=False).state_dict()
last = "bn3.weight" if "layer1.0.bn3.weight" in weights else "bn2.weight"  # of a residual branch
for key, value in weights.items():
    if key.endswith(last):
        value.set_value(value * 0.1)
paddle.save(weights, path)
END
    echo "made $data/trunk.pdparams"
}

rm -rf "$data"
mkdir -p "$data/infer"
source=
for place in "${VOCDEVKIT:-}" "$PWD/test_tipc/data/VOCdevkit" "$PWD/Dataset/VOCdevkit"; do
    if [[ -n $place && (-d $place || $place == "${VOCDEVKIT:-}") ]]; then
        source=$place
        break
    fi
done
if [[ -n $source ]]; then
    echo "photos of $source"
    link_voc "$source"
else
    echo "no VOCdevkit found: pictures are drawn"
    draw
fi
"$python" utils/prepare/prepare_voc.py "--data_path=$data/VOCdevkit" "--classes=$classes" "--out_dir=$data/labels"
# the photos to infer on are those of the test split
"$python" - "$data" <<'END'
import json
import os
import sys

data = sys.argv[1]
for record in json.load(open(f"{data}/labels/test_voc07.json", encoding="utf-8")):
    photo = os.path.realpath(record["img_path"])
    os.symlink(photo, f"{data}/infer/{os.path.basename(photo)}")
END
if [[ $(func_parser_params "${lines[9]}" "$mode") == "$data/trunk.pdparams" ]]; then
    make_trunk "$(dirname "$(func_parser_value "${lines[10]}")")"
fi
echo "$model_name $mode" >"$data/mode"
echo "prepared $data for $model_name, $mode"
