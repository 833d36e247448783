#!/usr/bin/env bash
# package_test.sh BUILD: CPack makes a Debian package that lintian has neither errors nor warnings about, and that
# depends on Debian's libraries and on no torch. tests/install/minimal_root_test.sh installs, runs and removes it.
source "$(dirname "$0")/expectations.sh"
needs lintian lintian
needs cpack cmake
needs dpkg-shlibdeps dpkg-dev

cd "$1"
rm -f anchorage_*.deb
cpack -G DEB >cpack.log 2>&1 || { cat cpack.log && exit 1; }
package=$(echo anchorage_*.deb)
expect_file "$package"
# lintian as root warns about itself.
lintian --allow-root --fail-on error,warning "$package"
depends=$(dpkg-deb --field "$package" Depends)
for library in libhdf5-103 libopenmpi3 openmpi-bin libc6 'libstdc[+][+]6' python3; do
  expect_within "what the package depends on" "$library" "$depends"
done
files=$(dpkg-deb --contents "$package")
for file in usr/bin/anchorage usr/bin/anchorage-env usr/lib/anchorage/anchorage usr/share/man/man1/anchorage-edit.1.gz \
  usr/share/bash-completion/completions/anchorage usr/share/zsh/vendor-completions/_anchorage \
  usr/share/anchorage/launch/refresh/slurm/refresh.sbatch usr/share/doc/anchorage/copyright; do
  expect_within "the files of the package" "\./$file" "$files"
done
