# shellcheck shell=bash disable=SC2034
# What launch/setup, launch/quickstart and launch/test share: the places, the steps of setting up, and how a step
# reports. Sourced by them; defines functions and variables only.

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${ANCHORAGE_CACHE:-$HOME/.cache/anchorage}
python=$cache/python/bin/python3
model=$cache/SmolLM2-135M-Instruct
corpus=$cache/corpus
tasks=$cache/tasks
program=$source_dir/build/release/anchorage
logs=$cache/logs
export ANCHORAGE_CACHE=$cache
mkdir -p "$logs"

fail() {
  echo "error: $*" >&2
  exit 1
}

# step NAME COMMAND...: runs the command with its output in a log, and says in one line what was done and how long
# it took. A command that fails ends the script with the log's last lines.
step() {
  local name=$1 begin=$SECONDS log
  shift
  log=$logs/$(basename "$0")-$(tr -c 'a-z0-9\n' '-' <<<"${name,,}").log
  printf '  %-58s ' "$name"
  # The subshell keeps `set -e` at work inside the command, which a condition would switch off.
  local status=0
  set +e
  (set -euo pipefail; "$@") >"$log" 2>&1
  status=$?
  set -e
  if ((status)); then
    echo "failed after $((SECONDS - begin)) s"
    tail -n 40 "$log" >&2
    echo "error: step '$name' failed (exit code $status); all of its output is in $log" >&2
    exit "$status"
  fi
  echo "$((SECONDS - begin)) s"
}

# As step, for a command that takes minutes and shows its own progress on stderr.
step_with_progress() {
  local name=$1 begin=$SECONDS
  shift
  echo "  $name"
  "$@" || fail "step '$name' failed with exit code $?"
  printf '  %-58s %s s\n' "$name: done" "$((SECONDS - begin))"
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "expected root or sudo, found neither; run as root: apt-get install $(missing_packages)"
  fi
}

# missing_packages [MORE...]: what is not installed of launch/install/packages.txt and of those named
missing_packages() {
  local package status
  for package in $(grep -v '^#' "$source_dir/launch/install/packages.txt") "$@"; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $status == installed ]] || echo -n "$package "
  done
}

install_packages() {
  local missing
  missing=$(missing_packages "$@")
  [[ $missing ]] || return 0
  command -v apt-get >/dev/null || fail "expected Debian's apt-get, found none; install what is like $missing"
  as_root apt-get update
  # shellcheck disable=SC2086  # one word a package
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
}

python_is_ready() {
  [[ -x $python && -f $cache/python/requirements.sha256 ]] &&
    sha256sum --check --status "$cache/python/requirements.sha256" <"$source_dir/launch/install/requirements.txt"
}

install_python_environment() {
  python_is_ready && return
  # Debian's own interpreter, whatever else is first in PATH: the wheels are chosen for its version.
  [[ -x $python ]] || /usr/bin/python3 -m venv "$cache/python"
  "$python" -m pip install --no-cache-dir --disable-pip-version-check -r "$source_dir/launch/install/requirements.txt"
  sha256sum <"$source_dir/launch/install/requirements.txt" >"$cache/python/requirements.sha256"
}

# The disk and memory that the steps still to come need; what is there already needs none.
check_room() {
  local needed=3 free memory
  python_is_ready || needed=$((needed + 7))
  [[ -e $model ]] || needed=$((needed + 2))
  free=$(df --output=avail -BG "$cache" | tail -n 1 | tr -dc '0-9')
  ((free >= needed)) ||
    fail "expected $needed GB of free disk, found $free GB, in $cache; free some, or set ANCHORAGE_CACHE"
  memory=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
  ((memory >= 3000)) || fail "expected 3000 MB of free memory, found $memory MB; close other programs"
}

# One compiler a core, as long as each has 1.5 GB: files that use LibTorch need that.
compile_jobs() {
  awk -v cores="$(nproc)" '/^MemAvailable/ { n = int($2 / 1500000); print n < 1 ? 1 : n < cores ? n : cores }' \
    /proc/meminfo
}

# As a unity build, which takes less than half the time: scripts build once and from nothing.
configure() { # [PRESET]
  cmake --preset "${1:-release}" -S "$source_dir" -DANCHORAGE_PYTHON="$cache/python" \
    -DANCHORAGE_WERROR="${ANCHORAGE_WERROR:-OFF}" -DCMAKE_UNITY_BUILD=ON
}

# build TARGET...
build() {
  cmake --build "$source_dir/build/release" --parallel "$(compile_jobs)" --target "$@"
}

# What CTest runs as sanitized.* (tests/CMakeLists.txt).
build_sanitized() {
  configure asan
  cmake --build "$source_dir/build/asan" --parallel "$(compile_jobs)" --target test_io test_coordinator test_sharding
  configure tsan
  cmake --build "$source_dir/build/tsan" --parallel "$(compile_jobs)" --target test_threads
}

# list_skipped LOG: what CTest's log has of skipped tests, with the entries they belong to. CTest itself gives neither
# the reasons nor which tests of a program that passes were skipped.
list_skipped() {
  awk '/^[0-9]+\/[0-9]+ Test: / { entry = $3 }
       sub(/^skipped: /, "") { if (!any++) print "\nSkipped:"; print "  " entry ": " $0 }' "$1"
}

set_up() {
  step "Room on disk and in memory" check_room
  step "Debian packages" install_packages
  step "Python environment with LibTorch (5 GB)" install_python_environment
  step "Configure build/release" configure
}

prepare_demo() {
  step "Demo model, SmolLM2-135M-Instruct" "$python" "$source_dir/launch/demo/prepare_model.py" "$model"
  step "English text" "$python" "$source_dir/launch/demo/prepare_corpus.py" "$corpus"
}

prepare_tasks() { # NAME,...
  step "Questions of benchmarks" "$python" "$source_dir/launch/demo/prepare_tasks.py" "$tasks" --only "$1"
}
