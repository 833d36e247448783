#!/usr/bin/env bash
# manual_test.sh PREFIX: a man page for each command that --help lists, with its options.
source "$(dirname "$0")/expectations.sh"
program=$1/bin/anchorage
pages=$1/share/man/man1
[[ -d $pages ]] || skip "no man pages were made (Debian: help2man)"
for command in $("$program" --help | sed -n '/^Subcommands:/,$s/^  \([a-z]*\) .*/\1/p'); do
  expect_file "$pages/anchorage-$command.1.gz"
done
expect_file "$pages/anchorage-env.1.gz"

# has_line PAGE TEXT
has_line() {
  grep -qF -- "$2" <<<"$(zcat "$pages/$1")" || fail "expected a line with '$2', found none, in $pages/$1"
}
has_line anchorage-edit.1.gz 'anchorage-edit \- '
has_line anchorage-edit.1.gz '\fB\-\-on\-conflict\fR'
has_line anchorage-edit.1.gz 'EXIT STATUS'
has_line anchorage-journal-verify.1.gz 'anchorage-journal-verify \- '
if [[ $(command -v groff) ]]; then
  for file in "$pages"/*.gz; do
    said=$(zcat "$file" | groff -man -Tutf8 -ww 2>&1 >/dev/null)
    expect_equal "what groff says of $file" "" "$said"
  done
fi
