#!/usr/bin/env bash
# minimal_root_test.sh SOURCE BUILD PYTHON: in roots that have nothing but a minimal system, its Python, and torch
# from PYTHON, an archive by launch/bundle runs (Debian 12; Ubuntu 24.04 with ANCHORAGE_UBUNTU_MIRROR), and the Debian
# package is installed, runs and is removed without a trace. Needs root, debootstrap and a mirror of Debian's. Not
# part of what runs by itself, because it loads a system: ANCHORAGE_MINIMAL_ROOT=1 asks for it.
source "$(dirname "$0")/expectations.sh"
source_dir=$1
build=$2
python=$3
[[ ${ANCHORAGE_MINIMAL_ROOT:-} ]] || skip "ANCHORAGE_MINIMAL_ROOT=1 asks for this test, which downloads a system"
source "$(dirname "$0")/root.sh"
needs patchelf patchelf

"$source_dir/launch/bundle" "$folder/bundle.tar.xz" "$build"
run_bundle() { # NAME
  tar -C "$folder/$1/opt/elsewhere" -xf "$folder/bundle.tar.xz"
  inside "$1" bash -c '/opt/elsewhere/*/share/anchorage/smoke/smoke_test'
  said=$(inside "$1" bash -c \
    '/opt/elsewhere/*/bin/anchorage-env mpirun --allow-run-as-root --oversubscribe -n 2 anchorage --version')
  expect_equal "the version from anchorage-env mpirun in $1" "$("$build/anchorage" --version)" "$said"
  echo "the archive runs in $1: $(inside "$1" ldd --version | sed -n 1p)"
}

make_root debian bookworm "$debian_mirror" ""
run_bundle debian

# A C++ library that is too old, or none, is replaced by the archive's own.
rename() { # FROM TO: the end of the name of the system's C++ library
  inside debian sh -c "cd /usr/lib/*-linux-gnu && mv libstdc++.so.6$1 libstdc++.so.6$2"
}
rename "" .away
inside debian bash -c '/opt/elsewhere/*/bin/anchorage --version' >/dev/null
rename .away ""

# A C library that is too old is called that.
make_root older bullseye "$debian_mirror" ""
tar -C "$folder/older/opt/elsewhere" -xf "$folder/bundle.tar.xz"
status=0
said=$(inside older bash -c '/opt/elsewhere/*/bin/anchorage --version' 2>&1) || status=$?
expect_equal "exit code on Debian 11" 2 "$status"
expect_within "what it says on Debian 11" 'expected a C library with GLIBC_2\.3' "$said"

if [[ ${ANCHORAGE_UBUNTU_MIRROR:-} ]]; then
  # Debian's debootstrap does not know this release, whose script is that of all of Ubuntu's, nor its key.
  make_root ubuntu noble "$ANCHORAGE_UBUNTU_MIRROR" /usr/share/debootstrap/scripts/gutsy --no-check-gpg
  run_bundle ubuntu
fi

# The package, in the root that has had nothing of it.
rm -rf "$folder/debian/opt/elsewhere"
(cd "$build" && rm -f anchorage_*.deb && cpack -G DEB >"$folder/cpack.log" 2>&1) || { cat "$folder/cpack.log" && exit 1; }
cp "$build"/anchorage_*.deb "$folder/debian/opt"
cp /etc/resolv.conf "$folder/debian/etc/resolv.conf"
inside debian bash -c 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends /opt/anchorage_*.deb' \
  >"$folder/apt.log" 2>&1 || { tail -n 20 "$folder/apt.log" && fail "expected the package to be installed, found the above"; }
inside debian /usr/share/anchorage/smoke/smoke_test /usr
inside debian anchorage --version --json
inside debian env DEBIAN_FRONTEND=noninteractive apt-get purge -y anchorage >>"$folder/apt.log" 2>&1 || { tail -n 20 "$folder/apt.log" && exit 1; }
left=$(find "$folder/debian/usr" "$folder/debian/etc" -name '*anchorage*')
expect_equal "files that the removed package leaves" "" "$left"
echo "the package was installed, has run and was removed"
