#!/usr/bin/env bash
# modules_test.sh PREFIX: Environment Modules and Lmod load the module of an installed tree and unload it again.
# Debian installs one of the two at a time; each is tested where it is, and the test is skipped where neither is.
source "$(dirname "$0")/expectations.sh"
prefix=$1
tested=()

# loads_and_unloads NAME COMMAND...: COMMAND prints shell text for load and unload.
loads_and_unloads() {
  local name=$1
  shift
  export MODULEPATH=$prefix/share/modulefiles
  eval "$("$@" load anchorage)"
  expect_equal "the program that $name puts in PATH" "$prefix/bin/anchorage" "$(command -v anchorage || true)"
  expect_equal "ANCHORAGE_SOURCE by $name" "$prefix/share/anchorage" "${ANCHORAGE_SOURCE:-}"
  expect_within "MANPATH by $name" "$prefix/share/man" "${MANPATH:-}"
  expect_file "$ANCHORAGE_SOURCE/launch/refresh/slurm/refresh.sbatch"
  anchorage --version >/dev/null
  eval "$("$@" unload anchorage)"
  [[ :$PATH: != *:$prefix/bin:* ]] || fail "expected no $prefix/bin in PATH after $name unloads, found $PATH"
  expect_equal "ANCHORAGE_SOURCE after $name unloads" "" "${ANCHORAGE_SOURCE:-}"
}

# first_found NAME FOLDER...
first_found() {
  find "${@:2}" -path "*$1" 2>/dev/null | head -n 1 || true
}
modulecmd=$(first_found /modulecmd.tcl /usr/lib /usr/share/modules)
lmod=${LMOD_CMD:-$(first_found /libexec/lmod /usr/share/lmod)}
set +u # what the two print reads variables that may not be set
if [[ $modulecmd ]]; then
  (unset LOADEDMODULES _LMFILES_ && loads_and_unloads "Environment Modules" tclsh "$modulecmd" bash)
  tested+=("Environment Modules")
fi
if [[ $lmod ]]; then
  (unset LOADEDMODULES _LMFILES_ && loads_and_unloads Lmod "$lmod" bash)
  tested+=(Lmod)
fi
((${#tested[@]})) || skip "neither Environment Modules nor Lmod is installed (Debian: environment-modules or lmod)"
echo "loaded and unloaded by: ${tested[*]}"
