# What the boot tests share; sourced. Usage of a test: NAME BAILEY-PROGRAM. Exit 77: skipped, with the reason.
# shellcheck shell=bash
set -euo pipefail

bailey=${1:?usage: $0 BAILEY-PROGRAM}
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=$top/images/cache
export BAILEY_PKI # for mkinitramfs
BAILEY_PKI=$(dirname "$bailey")/pki
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAIL: $*" >&2
  [ -f "$work/console" ] && tail -n 40 "$work/console" >&2
  exit 1
}

if [ ! -f "$cache/kernel/Image" ] || [ ! -f "$cache/initramfs.cpio" ]; then
  echo "SKIP: the guest inputs are missing; run ./images/fetch, ./images/mkmodule and ./images/mkinitramfs"
  exit 77
fi

# boot NAME COMMAND-LINE-WORDS OPTION... - one run with the Debian kernel; console in $work/NAME, result in NAME.json.
boot() {
  local name=$1 words=$2
  shift 2
  "$bailey" -m 1G -kernel "$cache/kernel/Image" -initrd "$cache/initramfs.cpio" -append "console=ttyAMA0 $words" \
    -nographic -timeout 300 -result "$work/$name.json" "$@" < /dev/null > "$work/$name" 2> "$work/$name.err" ||
    { local status=$?; cp "$work/$name" "$work/console"; cat "$work/$name.err" >&2
      fail "the run '$name' ended with status $status"; }
}

member() { sed -n "s/.*\"$2\": \([0-9][0-9]*\).*/\1/p" "$work/$1.json" | head -n 1; } # RUN NAME

# What a run's result says that its next one has to say too: of steps all but the host's time.
repeats() { grep -E '"(exit|guest_ns|instructions|memory_hash)"' "$work/$1.json" | sed 's/, "host_cpu_us": [0-9]*//'; }

# same_runs RUN RUN - console byte for byte, instructions, guest time and memory.
same_runs() {
  cmp "$work/$1" "$work/$2" || fail "the runs '$1' and '$2' printed different consoles"
  diff <(repeats "$1") <(repeats "$2") || fail "the runs '$1' and '$2' are not the same"
}

expect() { # RUN PATTERN
  grep -qE "$2" "$work/$1" || { cp "$work/$1" "$work/console"; fail "the console of '$1' has no line like: $2"; }
}
