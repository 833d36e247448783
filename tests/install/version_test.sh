#!/usr/bin/env bash
# version_test.sh SOURCE PREFIX: `--version` is one line, and `--version --json` names what the program was built
# from.
source "$(dirname "$0")/expectations.sh"
program=$2/bin/anchorage

version=$("$program" --version)
expect_within "--version" '^[0-9]+\.[0-9]+\.[0-9]+$' "$version"
document=$("$program" --version --json)
field() { python3 -c 'import json, sys; print(json.loads(sys.argv[1])[sys.argv[2]])' "$document" "$1"; }
expect_equal version "$version" "$(field version)"
expect_equal "the same, in the other order" "$document" "$("$program" --json --version)"
expect_within compiler '^(GNU|Clang) [0-9]+' "$(field compiler)"
expect_within torch '^[0-9]+\.[0-9]+\.[0-9]+$' "$(field torch)"
expect_within CUDA '^[0-9]+\.[0-9]+$' "$(field cuda)"
expect_within MPI '^Open MPI v[0-9]+\.[0-9]+' "$(field mpi)"
expect_within NCCL '^[0-9]+\.[0-9]+\.[0-9]+$' "$(field nccl)"
expect_within HDF5 '^[0-9]+\.[0-9]+\.[0-9]+$' "$(field hdf5)"
case $(field device) in
  cpu) expect_equal gpus "[]" "$(field gpus)" ;;
  cuda) expect_within gpus "\['" "$(field gpus)" ;;
  *) fail "expected cpu or cuda, found '$(field device)', as device" ;;
esac

# The commit that the tree is at, where it is git's.
commit=$(field commit)
if head=$(git -C "$1" rev-parse HEAD 2>/dev/null); then
  expect_equal commit "$head" "${commit%-dirty}"
else
  expect_equal commit unknown "$commit"
fi

status=0
"$program" --json info nowhere >/dev/null 2>&1 || status=$?
expect_equal "exit code of --json without --version" 2 "$status"
