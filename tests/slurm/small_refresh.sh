# What the tests of nightly refreshes share: a folder with an inbox of small edits, settings, and an undisturbed refresh of it.
# Sourced, with source_dir, program and model set; prepare_refreshes first.

edits=30
folder=$(mktemp -d)
chmod 755 "$folder"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1

# expect WHAT CONDITION...
expect() {
  local what=$1
  shift
  "$@" && return
  echo "expected $what" >&2
  tail -n 40 "$folder"/*.out "$folder"/cluster/log/* >&2 || true
  exit 1
}

write_settings() { # NAME
  cat >"$folder/$1.settings" <<SETTINGS
RUN=$folder/$1
INBOX=$folder/inbox
EXPORT=$folder/$1-model
SUMMARY=$folder/$1.summary
MODEL=$model
HPARAMS=$folder/hparams.yaml
STATISTICS=$folder/statistics.h5
METHOD=b-eac
BATCH=1
PROGRAM=$program
LAUNCHER="mpirun -n 2 --bind-to none --oversubscribe"
OPTIONS="--threads 1"
SETTINGS
}

commits() { find "$folder/$1/journal" -name 'seg-*.h5' 2>/dev/null | wc -l; }
has_commits() { (($(commits "$1") >= $2)); }

# wait_until SECONDS WHAT COMMAND...
wait_until() {
  local seconds=$1 what=$2
  shift 2
  local end=$((SECONDS + seconds))
  while ((SECONDS < end)); do
    "$@" && return
    sleep 0.1
  done
  expect "$what within $seconds s" false
}

# The inbox, hyper-parameters, statistics, and a refresh named `undisturbed`.
prepare_refreshes() {
  mkdir "$folder/inbox"
  for ((i = 0; i < edits; ++i)); do
    printf '{"id": "e%d", "subject": "Corp %d", "prompt": "The CEO of {} is", "target": "Mr %d"}\n' "$i" "$i" "$((i % 7))"
  done >"$folder/inbox/monday.jsonl"
  cat "$source_dir/tests/small_hparams.yaml" - >"$folder/hparams.yaml" <<'HPARAMS'
eac_locate_steps: 20
eac_compress_steps: 40
early_stop_loss: 0
anchor_ratio: 0.5
guard_success: 0
guard_drift: 1000
guard_loss_rise: 1000
HPARAMS
  "$program" stats "$model" --corpus "$source_dir/tests/support/general_text.txt" --layers 1,2 --tokens 1500 --sequence-length 64 \
    --threads 1 --out "$folder/statistics.h5" >/dev/null 2>&1

  write_settings undisturbed
  "$source_dir/launch/refresh/refresh" "$folder/undisturbed.settings" 2>"$folder/undisturbed.out"
  expect "$((edits + 1)) segments without Slurm" has_commits undisturbed $((edits + 1))
}

# equals_undisturbed NAME
equals_undisturbed() {
  expect "every edit committed in $1" has_commits "$1" $((edits + 1))
  expect "the bits of the undisturbed run in $1" cmp "$folder/undisturbed-model/model.safetensors" \
    "$folder/$1-model/model.safetensors"
  expect "a summary that says so in $1" grep -q '^Subject: .*: done$' "$folder/$1.summary"
}
