#!/usr/bin/env bash
# tree_test.sh BUILD MOVED PYTHON: `cmake --install` makes the tree of docs/install.md, which runs after it was moved.
# Leaves it at MOVED for the tests after this one. PYTHON is the prefix of a Python environment with torch.
source "$(dirname "$0")/expectations.sh"
build=$1
moved=$2

first=$build/installed-first
rm -rf "$first" "$moved"
cmake --install "$build" --prefix "$first" >/dev/null
mv "$first" "$moved"

for file in bin/anchorage \
  share/anchorage/launch/hparams/llama3-8b.yaml share/anchorage/launch/refresh/slurm/refresh.sbatch \
  share/anchorage/launch/refresh/refresh share/anchorage/launch/subjects/subjects.jsonl share/anchorage/smoke/smoke_test \
  share/anchorage/launch/acceptance/acceptance share/doc/anchorage/README.md \
  share/bash-completion/completions/anchorage share/zsh/site-functions/_anchorage \
  include/anchorage/io/error.hpp lib/libanchorage_io.a lib/cmake/Anchorage/AnchorageConfig.cmake; do
  expect_file "$moved/$file"
done
for program in bin/anchorage share/anchorage/launch/{refresh/{refresh,serve,supervise},acceptance/acceptance}; do
  [[ -x $moved/$program ]] || fail "expected a program that can be run, found one that cannot, at $moved/$program"
done

# What was installed looks at no folder of the build, nor of the place that it was moved from.
if grep -rlE --exclude-dir=docs "$first" "$moved"; then
  fail "expected no mention of the place it was installed to, found the above"
fi
if [[ $(command -v readelf) ]]; then
  runpath=$(readelf -d "$moved/bin/anchorage" | sed -n 's/.*R.*PATH).*\[\(.*\)\]/\1/p')
  # shellcheck disable=SC2016  # the dynamic linker's
  expect_within "the program's RPATH" '\$ORIGIN' "$runpath"
  [[ $runpath != *"$build"* ]] || fail "expected no folder of the build, found '$runpath', as the program's RPATH"
fi

status=0
answer=$("$moved/share/anchorage/launch/refresh/refresh" 2>&1) || status=$?
expect_equal "exit code of a refresh without settings" 2 "$status"
expect_within "what it says" 'one file of settings' "$answer"

# It finds the program that it was installed with.
ANCHORAGE_PYTHON=$3 "$moved/share/anchorage/launch/acceptance/acceptance" --out "$moved.json" --small --device cpu --only ranks.1x2
rm "$moved.json"

"$moved/share/anchorage/smoke/smoke_test"
