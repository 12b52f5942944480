#!/usr/bin/env bash
# Train, evaluate, export and infer as a config says, and check that the numbers of each step fit the step before.
# Ends with 1 when a step failed or none passed. Everything goes to test_tipc/output/MODEL_NAME/MODE, made anew.
# Usage: [PYTHON=python3] bash test_tipc/test_train_inference_python.sh CONFIG MODE [GPU of whole_infer]
set -euo pipefail
[[ $# == 2 || $# == 3 ]] || { echo "usage: bash $0 CONFIG MODE [GPU]" >&2 && exit 2; }
config=$(realpath -m "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=test_tipc/common_func.sh
source test_tipc/common_func.sh
read_config "$config" "$2"
gpu_of_whole_infer=${3:-}

prepared=test_tipc/data/prepared
[[ -f $prepared/mode && $(<"$prepared/mode") == "$model_name $mode" ]] ||
    fail "the data are not those of $model_name, $mode; run: bash test_tipc/prepare.sh $1 $mode"
rm -rf "$LOG_PATH"
mkdir -p "$LOG_PATH"

compare=("$python" test_tipc/compare_results.py)

# --- the config, line by line

IFS='|' read -ra gpu_list <<<"$(func_parser_value "${lines[3]}")"
device_key=$(func_parser_key "${lines[4]}")
IFS='|' read -ra device_list <<<"$(func_parser_value "${lines[4]}")"
autocast_key=$(func_parser_key "${lines[5]}")
IFS='|' read -ra autocast_list <<<"$(func_parser_value "${lines[5]}")"
save_model_key=$(func_parser_key "${lines[7]}")
train_model_name=$(func_parser_value "${lines[10]}")
infer_img_dir=$(func_parser_value "${lines[11]}")
[[ $mode != whole_infer ]] || infer_img_dir=$(func_parser_value "${lines[47]}")
train_options=()
for number in 6 8 9 12 56; do # epochs, batch size, pretrained, two free options; each may differ by mode
    option=$(func_set_params "$(func_parser_key "${lines[number]}")" "$(func_parser_params "${lines[number]}" "$mode")")
    train_options+=(${option:+"$option"})
done
IFS='|' read -ra trainer_list <<<"$(func_parser_value "${lines[14]}")"
read -ra eval_py <<<"$(func_parser_value "${lines[23]}")"
eval_key=$(func_parser_key "${lines[24]}")
save_infer_key=$(func_parser_key "${lines[27]}")
export_weight=$(func_parser_key "${lines[28]}")
IFS='|' read -ra infer_model_list <<<"$(func_parser_value "${lines[36]}")"
IFS='|' read -ra infer_export_list <<<"$(func_parser_value "${lines[37]}")"
read -ra inference_py <<<"$(func_parser_value "${lines[39]}")"
infer_keys=()
for number in {40..50}; do
    infer_keys[number]=$(func_parser_key "${lines[number]}")
done
IFS='|' read -ra use_gpu_list <<<"$(func_parser_value "${lines[40]}")"
IFS='|' read -ra use_mkldnn_list <<<"$(func_parser_value "${lines[41]}")"
IFS='|' read -ra cpu_threads_list <<<"$(func_parser_value "${lines[42]}")"
IFS='|' read -ra batch_size_list <<<"$(func_parser_value "${lines[43]}")"
IFS='|' read -ra use_trt_list <<<"$(func_parser_value "${lines[44]}")"
IFS='|' read -ra precision_list <<<"$(func_parser_value "${lines[45]}")"
read -ra predict_py <<<"$(func_parser_value "${lines[54]}")"

for gpu in "${gpu_list[@]}"; do
    [[ $gpu =~ ^(-1|[0-9]+)$ ]] || fail "$config: gpu_list '$gpu' must be -1 (CPU) or the number of one GPU"
done
for trainer in "${trainer_list[@]}"; do
    [[ " ${lines[*]:15:6}" == *" $trainer:"* && " ${lines[*]:15:6} " != *" $trainer:null "* ]] ||
        fail "$config: no command for trainer '$trainer' in lines 16 to 21"
done

# --- the chain

look_for_gpu() { # the state of "gpu" and "cpu", which rows need like a step
    state[cpu]=passed
    state[gpu]=passed
    if [[ "${gpu_list[*]}" =~ [0-9] && "${gpu_list[*]}" != -1 || "${use_gpu_list[*]}" == *True* ]] &&
        ! "$python" -c 'import sys, paddle; sys.exit(not (paddle.is_compiled_with_cuda() and
paddle.device.cuda.device_count()))' >/dev/null 2>&1; then
        state[gpu]=skipped
        reason[gpu]="Paddle sees no GPU here"
    fi
}

train_all() { # every device x precision x trainer of the config
    local number autocast trainer line
    for number in "${!gpu_list[@]}"; do
        for autocast in "${autocast_list[@]}"; do
            for trainer in "${trainer_list[@]}"; do
                for line in {15..20}; do # the export command stands 14 lines below its trainer
                    if [[ $(func_parser_key "${lines[line]}") == "$trainer" ]]; then
                        train_chain "$trainer" "${gpu_list[number]}" "${device_list[number]:-null}" "$autocast" \
                            "$(func_parser_value "${lines[line]}")" "$(func_parser_value "${lines[line + 14]}")"
                    fi
                done
            done
        done
    done
}

train_chain() { # train_chain TRAINER GPU DEVICE AUTOCAST TRAIN_COMMAND EXPORT_COMMAND
    local name=${1}_gpus_${2}_autocast_$4 needs=cpu run checkpoint log train_py set_device set_autocast
    run=$LOG_PATH/$name
    checkpoint=$run/$train_model_name
    log=$(dirname "$checkpoint")/log.jsonl
    set_device=$(func_set_params "$device_key" "$3")
    set_autocast=$(func_set_params "$autocast_key" "$4")
    read -ra train_py <<<"$5"
    if [[ $2 != -1 ]]; then
        needs=gpu
        local -x CUDA_VISIBLE_DEVICES=$2 # until this function returns
    fi
    step "$name" "$needs" "$python" "${train_py[@]}" ${set_device:+"$set_device"} "$save_model_key=$run" \
        "${train_options[@]}" ${set_autocast:+"$set_autocast"}
    if [[ ${state[$needs]} != passed ]]; then
        return # one row says it for all that would follow
    fi
    step "${name}_loss" "$name" "${compare[@]}" "--train_log=$log"
    if [[ ${eval_py[0]} != null ]]; then
        step "${name}_eval" "$name" "$python" "${eval_py[@]}" "$eval_key=$checkpoint" "--out=$run/eval" \
            ${set_device:+"$set_device"}
        step "${name}_eval_compare" "${name}_eval" "${compare[@]}" "--train_log=$log" \
            "--metrics=$run/eval/metrics.json"
    fi
    if [[ $6 != null ]]; then
        export_chain "$name" "$name" "$checkpoint" "$run/deploy" "$set_device" "$6"
    fi
}

infer_all() { # whole_infer: the models of the config, exported first where it says how
    local number model export_command
    if [[ -n $gpu_of_whole_infer ]]; then
        export CUDA_VISIBLE_DEVICES=$gpu_of_whole_infer
    fi
    for number in "${!infer_model_list[@]}"; do
        model=${infer_model_list[number]}
        export_command=${infer_export_list[number]:-null}
        if [[ $export_command != null ]]; then
            export_chain "infer_model_$number" cpu "$model" "$LOG_PATH/deploy_$number" "" "$export_command"
        else
            state[no_predict]=skipped
            reason[no_predict]="without infer_export there is no checkpoint to compare with"
            func_inference "infer_model_$number" cpu no_predict "$model"
        fi
    done
}

export_chain() { # export_chain NAME NEEDS CHECKPOINT DEPLOY_FOLDER SET_DEVICE EXPORT_COMMAND
    local name=$1 needs=$2 checkpoint=$3 folder=$4 set_device=$5 export_py
    read -ra export_py <<<"$6"
    step "${name}_predict" "$needs" "$python" "${predict_py[@]}" "--load_from=$checkpoint" \
        "--img_dir=$infer_img_dir" "--out=$LOG_PATH/${name}_predict.json" ${set_device:+"$set_device"}
    step "${name}_export" "$needs" "$python" "${export_py[@]}" "$export_weight=$checkpoint" "$save_infer_key=$folder"
    func_inference "$name" "${name}_export" "${name}_predict" "$folder"
}

func_inference() { # func_inference NAME NEEDS PREDICT_STEP DEPLOY_FOLDER: every row of the config
    local name=$1 needs=$2 predict=$3 folder=$4 use_gpu mkldnn threads trt batch precision row
    for use_gpu in "${use_gpu_list[@]}"; do
        for precision in "${precision_list[@]}"; do
            for batch in "${batch_size_list[@]}"; do
                if [[ $use_gpu == True ]]; then
                    for trt in "${use_trt_list[@]}"; do
                        row=${name}_python_infer_gpu_usetrt_${trt}_precision_${precision}_batchsize_$batch
                        infer_row "$row" "$needs gpu" "$predict" "$folder" "$precision" "$batch" \
                            "${infer_keys[40]}=True" "${infer_keys[44]}=$trt"
                    done
                    continue
                fi
                for mkldnn in "${use_mkldnn_list[@]}"; do
                    for threads in "${cpu_threads_list[@]}"; do
                        row=${name}_python_infer_cpu_usemkldnn_${mkldnn}_threads_${threads}
                        row+=_precision_${precision}_batchsize_$batch
                        infer_row "$row" "$needs" "$predict" "$folder" "$precision" "$batch" \
                            "${infer_keys[40]}=False" "${infer_keys[41]}=$mkldnn" "${infer_keys[42]}=$threads"
                    done
                done
            done
        done
    done
}

infer_row() { # infer_row NAME NEEDS PREDICT_STEP DEPLOY_FOLDER PRECISION BATCH_SIZE OPTION...
    local name=$1 needs=$2 predict=$3 folder=$4 precision=$5 batch=$6 benchmark
    shift 6
    benchmark=$(func_set_params "${infer_keys[49]}" "$(func_parser_value "${lines[49]}")")
    step "$name" "$needs" "$python" "${inference_py[@]}" "$@" "${infer_keys[43]}=$batch" \
        "${infer_keys[45]}=$precision" "${infer_keys[46]}=$folder/$(func_parser_value "${lines[46]}")" \
        "${infer_keys[50]}=$folder/$(func_parser_value "${lines[50]}")" "${infer_keys[47]}=$infer_img_dir" \
        "${infer_keys[48]}=$LOG_PATH/$name.json" ${benchmark:+"$benchmark"}
    step "${name}_compare" "$name $predict" "${compare[@]}" "--gt_file=$LOG_PATH/$predict.json" \
        "--log_file=$LOG_PATH/$name.json" "--atol=$(func_parser_params "${lines[55]}" "$precision")"
}

look_for_gpu
if [[ $mode == whole_infer ]]; then
    infer_all
else
    train_all
fi
print_table
[[ $(count failed) == 0 && $(count passed) != 0 ]]
