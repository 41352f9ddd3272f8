# What the bare-metal guests' tests share; sourced with the test's arguments: BAILEY IMAGES. Exit status 77: skipped.
# shellcheck shell=bash
set -euo pipefail

bailey=$1 images=$2
accel=() # CTest runs most of them both ways
[ -z "${BAILEY_TEST_ACCEL:-}" ] || accel=(-accel "$BAILEY_TEST_ACCEL")
work=$(mktemp -d)
jobs_started=()
cleanup() {
  for pid in ${jobs_started[@]+"${jobs_started[@]}"}; do
    kill "$pid" 2>/dev/null || true
  done
  [ -n "${KEEP:-}" ] || rm -rf "$work"; [ -z "${KEEP:-}" ] || echo "$work"
}
trap cleanup EXIT

fail() {
  echo "FAIL: $*" >&2
  exit 1
}

skip() {
  echo "SKIP: $*"
  exit 77
}

[ -e "$images/hello.img" ] || skip "the guests are not built: install gcc-aarch64-linux-gnu and configure again"

# run NAME STATUS OPTION... - a machine with 64 MiB as Normal-world host, with more properties from $machine (",rmm=1.0");
# output in $work/NAME.out and .err.
machine=
run() {
  local name=$1 want=$2 status=0
  shift 2
  "$bailey" -M "cca,boot=host$machine" -m 64M ${accel[@]+"${accel[@]}"} "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null || status=$?
  [ $status -eq "$want" ] ||
    fail "$name: status $status, not $want; it said: $(cat "$work/$name.err" "$work/$name.out")"
}

# member NAME KEY - a number or string of $work/NAME.json.
member() {
  sed -n "s/^ *\"$2\": *\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$work/$1.json"
}

# same WHAT GOT WANT
same() {
  [ "$2" = "$3" ] || fail "$1: '$2', not '$3'"
}
