# Read by bash before its script (BASH_ENV). Each command that a script of ours comes to is noted with who called it, the first two
# times; at the first one where no run was ended yet, `kill` ends the script with all that it has started. `wanted`: only at these.
# `chosen`: one point in so many, by what their sums come to with this number. `long`: commands that take their time, and so many seconds: there a run is ended once more, while they are at work.
mapfile -d '' -t __words </proc/$$/cmdline

# __came FILE LINE: before each command.
__came() {
    [[ $1 == */current/* && ! -v __pending ]] || return 0
    local place=$__part${1##*/current/}:$2
    # Of what only makes ready each line once, else each command by the way it was come to.
    if [[ " ${FUNCNAME[*]} " == *" prepared "* || -n $__part ]]; then
        [[ ! -v __seen[$place] ]] || return 0
    else
        local callers="${BASH_LINENO[*]:1}"
        callers=${callers%0} callers=${callers% }
        place+=${callers:+<${callers// /<}}
        [[ ${__seen[$place]:-0} -lt 2 ]] || return 0
    fi
    __seen[$place]=$((${__seen[$place]:-0} + 1))
    place+="*${__seen[$place]}"
    printf '%s %s\n' "$place" "$EPOCHREALTIME" >>"$__top/course"
    [[ ${#__wanted[@]} == 0 || -v __wanted[$place] ]] || return 0
    if [[ $__one_in != 1 ]]; then
        local sum
        sum=$(cksum <<<"$__seed $place")
        [[ $((${sum%% *} % __one_in)) == 0 ]] || return 0
    fi
    if [[ ! -v __ended[$place] ]]; then
        printf '%s\n' "$place" >>"$__top/ended"
        sh "$__top/kill"
        sleep 60
    elif [[ -v __long[$place] && ! -v __ended[$place+] ]]; then
        printf '%s\n' "$place+" >>"$__top/ended"
        __pending=1
        { sleep "${__long[$place]}" && exec sh "$__top/kill"; } >/dev/null 2>&1 </dev/null 7>&- 8>&- 9>&- &
    fi
}

if [[ ${__words[1]-} == */current/restore/re[sc]*.sh && -e /run/faults/armed ]]; then
    unset BASH_ENV
    __top=/run/faults __part=
    [[ ${__words[1]} != */recover.sh ]] || __part=${__words[2]}:
    cat /proc/$$/cmdline >$__top/words
    cat /proc/$$/environ >$__top/environment
    : >$__top/course
    declare -A __seen=() __ended=() __wanted=() __long=()
    read -r __one_in __seed <$__top/chosen
    while read -r __place; do __ended[$__place]=; done <$__top/ended
    while read -r __place; do __wanted[$__place]=; done <$__top/wanted
    while read -r __place __later; do __long[$__place]=$__later; done <$__top/long
    set -o functrace
    trap '__came "${BASH_SOURCE[0]}" "$LINENO"' DEBUG
fi
