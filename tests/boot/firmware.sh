# What the tests with firmware share beside lib.sh; sourced after it.
# shellcheck shell=bash
firmware=$cache/firmware

if [ ! -f "$firmware/versions" ]; then
  echo "SKIP: the firmware is missing; run ./images/mkdisk --fetch"
  exit 77
fi
for tool in sfdisk mformat; do
  command -v $tool > /dev/null || { echo "SKIP: $tool is missing; install fdisk and mtools"; exit 77; }
done

# start NAME OPTION... - one run that ends by power off; console in $work/NAME without the terminal's control sequences.
start() {
  local name=$1 status=0
  shift
  "$bailey" -m 1G -smp 2 -nographic -timeout 600 -result "$work/$name.json" "$@" < /dev/null 2> "$work/$name.err" |
    sed 's/\x1b\[[^a-zA-Z]*[a-zA-Z]//g; s/\r//g' > "$work/$name" || status=$?
  [ $status = 0 ] || { cp "$work/$name" "$work/console"; cat "$work/$name.err" >&2; fail "the run '$name' ended with status $status"; }
}
