# shellcheck shell=bash
# Commands that end when the script is told to end: a shell alone would wait for them to finish first.

child=

# attended COMMAND…: runs it in a process group of its own, without a terminal to read from; gives its exit code.
attended() {
    local code=0
    set -m
    "$@" </dev/null &
    child=$!
    set +m
    wait "$child" || code=$?
    child=
    return "$code"
}

stop_child() {
    if [[ -n $child ]]; then
        kill -TERM -- "-$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
}

# on_end COMMAND: runs it at the end of the script, whatever ends it.
on_end() {
    # shellcheck disable=SC2064 # The command is the caller's, as it is now.
    trap "$1" EXIT
    trap 'stop_child; exit 130' INT
    trap 'stop_child; exit 143' TERM HUP
}
