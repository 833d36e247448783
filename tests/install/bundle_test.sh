#!/usr/bin/env bash
# bundle_test.sh SOURCE BUILD PYTHON: an archive by launch/bundle has at most 40 MB and runs where it is unpacked,
# alone and on two ranks under its own mpirun, with libraries from nowhere but itself, torch and glibc. PYTHON is the
# prefix of a Python environment with torch. tests/install/minimal_root_test.sh runs it on systems without the
# libraries.
source "$(dirname "$0")/expectations.sh"
for tool in patchelf xz ompi_info; do
  needs "$tool" "patchelf, xz-utils, openmpi-bin"
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$1/launch/bundle" "$folder/made/bundle.tar.xz" "$2"
size=$(stat -c %s "$folder/made/bundle.tar.xz")
((size <= 40 * 1000 * 1000)) || fail "expected at most 40 MB, found $size bytes, as the archive"
mkdir "$folder/elsewhere"
tar -C "$folder/elsewhere" -xf "$folder/made/bundle.tar.xz"
root=$(echo "$folder"/elsewhere/*)
if grep -rlF "$folder/made" "$root"; then
  fail "expected no mention of the place it was made at, found the above"
fi

run() { env -i PATH=/usr/bin:/bin HOME="$folder" TMPDIR="$folder" ANCHORAGE_PYTHON="$3" "${@:4}"; }
run "$@" "$root/bin/anchorage" --version >/dev/null
run "$@" "$root/share/anchorage/smoke/smoke_test"
run "$@" "$root/share/anchorage/launch/acceptance/acceptance" --out "$folder/found.json" --small --device cpu --only ranks.1x2

# Where each library comes from that the program, mpirun or a plug-in loads.
# shellcheck disable=SC2016  # the inner shell expands it
from=$(run "$@" "$root/bin/anchorage-env" sh -c 'ldd "$1"/lib/anchorage/anchorage "$1"/lib/anchorage/orte* \
  "$1"/lib/anchorage/openmpi/*.so "$1"/lib/anchorage/pmix/lib/pmix/*.so' - "$root")
[[ $from != *'not found'* ]] || fail "expected every library, found: $(grep 'not found' <<<"$from" | sort -u)"
torch=$(realpath "$3")
others=$(awk '$2 == "=>" { print $3 }' <<<"$from" | sort -u | xargs realpath -s |
  grep -vE "^($root|$torch|$3)/|/(lib(c|m|mvec|dl|rt|pthread|resolv|util)|ld-linux.*)\.so|/lib(stdc\+\+|gcc_s)\.so") || true
expect_equal "libraries from elsewhere than the archive, torch and glibc" "" "$others"

status=0
said=$(env -i PATH=/usr/bin:/bin HOME="$folder" ANCHORAGE_PYTHON="$folder" "$root/bin/anchorage" --version 2>&1) || status=$?
expect_equal "exit code without torch" 2 "$status"
expect_within "what it says without torch" 'expected torch [0-9.]+.*ANCHORAGE_PYTHON' "$said"
