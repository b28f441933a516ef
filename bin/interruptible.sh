# shellcheck shell=bash
# To be sourced: `run` a command so that a signal is answered at once and not when the command has ended;
# `stop_child` ends what runs, with all that it started.
child=

run() {
  "$@" &
  child=$!
  wait "$child"
  child=
}

stop_child() {
  [ -z "$child" ] || kill_tree "$child"
  child=
}

kill_tree() {
  local process
  for process in $(pgrep --parent "$1"); do kill_tree "$process"; done
  kill "$1" 2> /dev/null || true
}
