# shellcheck shell=bash
# What the tests of installing share. Sourced.

set -euo pipefail

fail() {
  echo "error: $*" >&2
  exit 1
}

# skip REASON: CTest knows 77 as skipped.
skip() {
  echo "skipped: $*"
  exit 77
}

# needs TOOL PACKAGE: skips the test where there is no such program.
needs() {
  [[ $(command -v "$1") ]] || skip "$1 is not installed (Debian: $2)"
}

expect_file() {
  [[ -s $1 ]] || fail "expected a file that has something in it, found none, at $1"
}

# expect_equal WHAT EXPECTED FOUND
expect_equal() {
  [[ $2 == "$3" ]] || fail "expected '$2', found '$3', as $1"
}

# expect_within WHAT PATTERN TEXT
expect_within() {
  [[ $3 =~ $2 ]] || fail "expected '$2' in $1, found '$3'"
}
