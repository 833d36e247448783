#!/usr/bin/env bash
# completion_test.sh PREFIX: bash and zsh complete commands, options and the values of an option.
source "$(dirname "$0")/expectations.sh"

# shellcheck source=/dev/null
source "$1/share/bash-completion/completions/anchorage"
# completed WORD...: what bash offers for the last word, in one line
completed() {
  COMP_WORDS=("$@")
  COMP_CWORD=$(($# - 1))
  COMPREPLY=()
  _anchorage
  echo "${COMPREPLY[*]:-}"
}
expect_equal "completion of a command" "edit eval export" "$(completed anchorage e)"
expect_equal "completion of a command below a command" "verify" "$(completed anchorage journal ve)"
expect_equal "completion of an option" "--on-conflict" "$(completed anchorage edit model --on)"
expect_equal "completion of a value" "supersede refuse keep-both" "$(completed anchorage edit --on-conflict '')"
expect_equal "completion of an option that another command has" "" "$(completed anchorage info --on)"
expect_equal "completion of a file" "" "$(completed anchorage edit mod)"

[[ $(command -v zsh) ]] || { echo "zsh is not installed: its completion is not tested" && exit 0; }
# zsh completes on a terminal only: a shell on a pseudo terminal types the keys.
zsh -f "$(dirname "$0")/completion_test.zsh" "$1/share/zsh/site-functions"
