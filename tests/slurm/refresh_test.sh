#!/usr/bin/env bash
# Nightly refreshes on a real Slurm that this test starts on this machine: a job that is preempted by requeue in the
# middle, and one that is told to stop by SIGUSR1, run again by themselves and end with the bits of an undisturbed run.
#
#   refresh_test.sh SOURCE PROGRAM MODEL       needs root, slurm-wlm and munge; exit code 77: skipped
set -euo pipefail
source_dir=$1 program=$2 model=$3
source "$source_dir/tests/slurm/cluster.sh"

skip() {
  echo "skipped: $*"
  exit 77
}
((EUID == 0)) || skip "a Slurm controller and its munge can be started by root alone"
for tool in slurmctld slurmd munged sbatch; do
  [[ $(PATH=$PATH:/usr/sbin command -v "$tool") ]] || skip "$tool is not installed (Debian: slurm-wlm, munge)"
done
export PATH=$PATH:/usr/sbin OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
export ANCHORAGE_SOURCE=$source_dir

folder=$(mktemp -d)
chmod 755 "$folder"
trap 'stop_cluster; rm -rf "$folder"' EXIT
edits=30

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
state_of() { scontrol show job "$1" | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p'; }

# wait_until SECONDS WHAT COMMAND...
wait_until() {
  local seconds=$1 what=$2
  shift 2
  for ((tenth = 0; tenth < 10 * seconds; ++tenth)); do
    "$@" && return
    sleep 0.1
  done
  expect "$what within $seconds s" false
}
has_commits() { (($(commits "$1") >= $2)); }
is_completed() { [[ $(state_of "$1") == COMPLETED ]]; }
# Slurm lets a job that was queued again wait for two minutes; here it need not.
starts_again() { scontrol update JobId="$1" StartTime=now >/dev/null 2>&1; is_running_again "$1"; }
is_running_again() { [[ $(scontrol show job "$1") == *Restarts=1* && $(state_of "$1") =~ RUNNING|COMPLETED ]]; }

mkdir "$folder/inbox"
for ((i = 0; i < edits; ++i)); do
  printf '{"id": "e%d", "subject": "Corp %d", "prompt": "The CEO of {} is", "target": "Mr %d"}\n' "$i" "$i" "$((i % 7))"
done >"$folder/inbox/monday.jsonl"
cat >"$folder/hparams.yaml" <<'HPARAMS'
layers: [1, 2]
eac_locate_steps: 20
eac_compress_steps: 40
early_stop_loss: 0
anchor_ratio: 0.5
clamp_norm_factor: 20
v_weight_decay: 0.001
contexts: 2
sink_ratio: 1000
mom2_update_weight: 0.1
guard_success: 0
guard_drift: 1000
guard_loss_rise: 1000
HPARAMS
"$program" stats "$model" --corpus "$source_dir/docs/architecture.md" --layers 1,2 --tokens 1500 --sequence-length 64 \
  --threads 1 --out "$folder/statistics.h5" >/dev/null 2>&1

write_settings undisturbed
"$source_dir/launch/refresh" "$folder/undisturbed.settings" 2>"$folder/undisturbed.out"
expect "$((edits + 1)) segments without Slurm" has_commits undisturbed $((edits + 1))

start_cluster "$folder/cluster"

submit() { # NAME
  sbatch --parsable --output="$folder/$1.out" --ntasks=1 "$source_dir/launch/slurm/refresh.sbatch" \
    "$folder/$1.settings"
}
finishes_undisturbed() { # NAME JOB
  wait_until 120 "job $2 to be completed" is_completed "$2"
  expect "every edit committed in $1" has_commits "$1" $((edits + 1))
  expect "the bits of the undisturbed run in $1" cmp "$folder/undisturbed-model/model.safetensors" \
    "$folder/$1-model/model.safetensors"
  expect "a summary that says so in $1" grep -q '^Subject: .*: done$' "$folder/$1.summary"
  echo "$1: job $2 ran twice and ended as if nothing had happened"
}

write_settings preempted
job=$(submit preempted)
wait_until 60 "the first commits" has_commits preempted 4
expect "requeue to be accepted" scontrol requeue "$job"
expect "an unfinished run when it was preempted" test "$(commits preempted)" -le "$edits"
wait_until 60 "job $job to run again" starts_again "$job"
finishes_undisturbed preempted "$job"

write_settings signalled
job=$(submit signalled)
wait_until 60 "the first commits" has_commits signalled 4
expect "the signal to be sent" scancel --batch --signal=USR1 "$job"
wait_until 60 "job $job to run again" starts_again "$job"
finishes_undisturbed signalled "$job"
