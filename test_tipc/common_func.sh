# What prepare.sh and test_train_inference_python.sh share: read a config, run steps and record how they ended.
# shellcheck shell=bash

MODES="lite_train_lite_infer lite_train_whole_infer whole_train_whole_infer whole_infer"

fail() { # fail MESSAGE...: a mistake of the user; nothing has been run yet
    echo "error: $*" >&2
    exit 2
}

# --- a config: lines `key:value`, found by their position

func_parser_key() { # key:value -> key
    echo "${1%%:*}"
}

func_parser_value() { # key:value -> value
    local value=${1#*:}
    echo "${value#"${value%%[![:space:]]*}"}"
}

func_parser_params() { # func_parser_params LINE NAME: NAME's value in key:name=value|name=value, else the plain one
    local value part parts
    value=$(func_parser_value "$1")
    if [[ $value != *=* ]]; then
        echo "$value"
        return
    fi
    IFS='|' read -ra parts <<<"$value"
    for part in "${parts[@]}"; do
        if [[ ${part%%=*} == "$2" ]]; then
            echo "${part#*=}"
            return
        fi
    done
    echo null
}

func_set_params() { # func_set_params KEY VALUE: KEY=VALUE, or nothing where one of them is null
    if [[ $1 != null && -n $2 && $2 != null ]]; then
        echo "$1=$2"
    fi
}

read_config() { # read_config FILE MODE: sets lines, mode, model_name, python, LOG_PATH, status_log
    local number title titles=([0]=train_params [22]=eval_params [26]=infer_params [51]=check_params)
    [[ -f $1 ]] || fail "no config $1; give one of test_tipc/configs"
    [[ " $MODES " == *" $2 "* ]] || fail "unknown mode '$2'; give one of $MODES"
    mode=$2
    mapfile -t lines < <(tr -d '\r' <"$1" | sed '/^[[:space:]]*$/d; s/[[:space:]]*$//')
    for number in "${!titles[@]}"; do
        title=${titles[number]}
        [[ ${lines[number]:-} == *=$title=* ]] || fail "$1: line $((number + 1)) must be the title $title"
    done
    [[ ${#lines[@]} == 57 ]] || fail "$1 has ${#lines[@]} lines; the format has 57"
    model_name=$(func_parser_value "${lines[1]}")
    [[ $model_name =~ ^[A-Za-z0-9_-]+$ ]] || fail "$1: model_name '$model_name' must be letters, digits, _ and -"
    LOG_PATH=test_tipc/output/$model_name/$mode
    status_log=$LOG_PATH/results_python.log
    python=${PYTHON:-$(func_parser_value "${lines[2]}")}
    command -v "$python" >/dev/null || fail "no Python '$python'; set PYTHON, or python in $1"
}

# --- steps

declare -A state=() reason=() seconds=() # by name of the step
steps=()

step() { # step NAME "NEEDED STEPS" COMMAND...: run it, output to NAME.log, unless a step that it needs did not pass
    local name=$1 needs=$2 log=$LOG_PATH/$1.log needed status=0 begin=$SECONDS why instead
    shift 2
    for needed in $needs; do
        if [[ ${state[$needed]} != passed ]]; then
            [[ ${state[$needed]} == failed ]] || why=${reason[$needed]}
            status_check "$name" skipped "${why:-$needed failed}" "$*"
            return
        fi
    done
    "$@" >"$log" 2>&1 </dev/null || status=$?
    seconds[$name]=$((SECONDS - begin))
    # a command that did something else than it was asked, and said so, has not tested what the row is about
    instead=$(grep -oE -m1 -- '--(precision|use_gpu) .*: using .*' "$log" || true)
    if [[ $status != 0 ]]; then
        status_check "$name" failed "exit code $status" "$*"
        tail -n 5 "$log" | sed 's/^/    /'
    elif [[ -n $instead ]]; then
        status_check "$name" skipped "$instead" "$*"
    else
        status_check "$name" passed "" "$*"
    fi
}

status_check() { # status_check NAME passed|failed|skipped REASON COMMAND: for the table, and as a line of the log
    local -A words=([passed]=successfully [failed]=failed [skipped]=skipped)
    steps+=("$1")
    state[$1]=$2
    reason[$1]=$3
    echo " Run ${words[$2]} with command - $model_name - $4 - ${3:-$LOG_PATH/$1.log} !  " | tee -a "$status_log"
}

count() { # count STATE: how many steps ended so
    local name number=0
    for name in "${steps[@]}"; do
        if [[ ${state[$name]} == "$1" ]]; then
            number=$((number + 1))
        fi
    done
    echo "$number"
}

print_table() { # one line a step, then the sum
    local name width=4
    for name in "${steps[@]}"; do
        if ((${#name} > width)); then
            width=${#name}
        fi
    done
    printf "\n%-${width}s  %-7s  %7s  %s\n" step result seconds why
    for name in "${steps[@]}"; do
        printf "%-${width}s  %-7s  %7s  %s\n" "$name" "${state[$name]}" "${seconds[$name]:-}" "${reason[$name]}"
    done
    printf "\n%s: %s passed, %s failed, %s skipped; %s\n" "$mode" "$(count passed)" "$(count failed)" \
        "$(count skipped)" "$status_log"
}
