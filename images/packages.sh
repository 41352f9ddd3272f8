# Debian packages that building, testing and the images need; sourced by images/demo and tests/run.
# shellcheck shell=bash

BAILEY_BUILD_PACKAGES=(build-essential cmake ninja-build pkg-config libglib2.0-dev libssl-dev libfdt-dev libslirp-dev
  libcapstone-dev libcbor-dev libcmocka-dev libedit-dev libjson-glib-dev libpixman-1-dev libpng-dev zlib1g-dev)
BAILEY_IMAGE_PACKAGES=(gcc-aarch64-linux-gnu binutils-aarch64-linux-gnu libc6-dev-arm64-cross cpio xz-utils openssl
  busybox)
BAILEY_TEST_PACKAGES=(qemu-user gdb-multiarch lldb clang libclang-rt-14-dev device-tree-compiler git python3-cbor2
  acpica-tools fdisk mtools qemu-utils chromium chromium-driver)

# bailey_install PACKAGE... - install what is missing, quietly; a sentence when that cannot be done.
bailey_install() {
  local missing=() p
  for p in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  echo "Installing Debian packages: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    echo "FAIL: these packages are missing and only root can install them: apt-get install ${missing[*]}" >&2
    return 1
  fi
  if ! apt-get install -y -qq "${missing[@]}" >/dev/null 2>&1; then
    apt-get update -qq >/dev/null 2>&1
    if ! DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null; then
      echo "FAIL: apt-get could not install ${missing[*]}; look at its message above" >&2
      return 1
    fi
  fi
}

# bailey_build DIR CMAKE-OPTION... - configure and build there (all, or the target that bailey_target names), showing
# progress.
bailey_build() {
  local dir=$1 top
  shift
  top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  if ! cmake -S "$top" -B "$dir" -G Ninja "$@" >"$dir.log" 2>&1; then
    cat "$dir.log" >&2
    echo "FAIL: cmake could not configure $dir; its messages are above" >&2
    return 1
  fi
  rm -f "$dir.log"
  if ! cmake --build "$dir" --target "${bailey_target:-all}"; then
    echo "FAIL: the build in $dir stopped; the compiler's messages are above" >&2
    return 1
  fi
}
