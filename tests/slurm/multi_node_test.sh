#!/usr/bin/env bash
# launch/refresh/slurm/multi-node.sbatch on a real Slurm of two nodes that this test starts on this machine. One rank on each:
# preempted by requeue, told to stop by SIGUSR1, and with a rank killed, a refresh ends with the bits of an undisturbed one.
# Two ranks on each: every rank has a GPU of its own.
#
#   multi_node_test.sh SOURCE PROGRAM MODEL    needs root, slurm-wlm and munge; exit code 77: skipped
set -euo pipefail
source_dir=$1 program=$2 model=$3
source "$source_dir/tests/slurm/cluster.sh"
require_slurm
export ANCHORAGE_SOURCE=$source_dir
source "$source_dir/tests/slurm/small_refresh.sh"
trap 'stop_cluster; rm -rf "$folder"' EXIT

prepare_refreshes
start_cluster "$folder/cluster"

# The program, with a note of which process it is on which node.
cat >"$folder/noted" <<SCRIPT
#!/usr/bin/env bash
[[ \$1 != edit ]] || echo \$\$ >"$folder/process-on-\$SLURMD_NODENAME"
exec "$program" "\$@"
SCRIPT
# Instead of the program: which GPUs a rank was given.
cat >"$folder/gpus" <<SCRIPT
#!/usr/bin/env bash
[[ \$1 != edit ]] || echo "\$SLURMD_NODENAME \$CUDA_VISIBLE_DEVICES" >"$folder/gpus-of-\$SLURM_PROCID"
[[ \$1 != export ]] || mkdir "\$4"
SCRIPT
chmod +x "$folder"/{noted,gpus}

submit() { # NAME OPTIONS...
  local name=$1
  shift
  sbatch --parsable --output="$folder/$name.out" --cpus-per-task=1 "$@" "$source_dir/launch/refresh/slurm/multi-node.sbatch" \
    "$folder/$name.settings"
}
begin() { # NAME [OPTIONS OF edit]; sets job
  write_settings "$1"
  sed -i "s#^PROGRAM=.*#PROGRAM=$folder/noted#; s#^OPTIONS=.*#OPTIONS='${2:-}'#" "$folder/$1.settings"
  rm -f "$folder"/process-on-*
  job=$(submit "$1" --ntasks-per-node=1 --gpus-per-task=0)
  wait_until 60 "the first commits of $1" has_commits "$1" 4
  expect "a rank on each node in $1" test -e "$folder/process-on-node1" -a -e "$folder/process-on-node2"
}
ends_undisturbed() { # NAME JOB
  wait_until 120 "job $2 to be completed" is_completed "$2"
  equals_undisturbed "$1"
  expect "the threads that Slurm gave a task in $1" grep -q '^threads: 1$' "$folder/$1/run.yaml"
}

begin preempted
expect "requeue to be accepted" scontrol requeue "$job"
expect "an unfinished run when it was preempted" test "$(commits preempted)" -le "$edits"
wait_until 180 "job $job to run again" starts_again "$job"
ends_undisturbed preempted "$job"
echo "preempted: job $job ran twice on two nodes and ended as if nothing had happened"

begin signalled
expect "the signal to be sent" scancel --batch --signal=USR1 "$job"
wait_until 180 "job $job to run again" starts_again "$job"
expect "to be told so" grep -q 'stopped after a commit; queued again' "$folder/signalled.out"
ends_undisturbed signalled "$job"
echo "signalled: likewise"

begin killed --deadline=5
kill -KILL "$(cat "$folder/process-on-node2")"
wait_until 30 "job $job to fail" has_failed "$job"
expect "an unfinished run when a rank was killed" test "$(commits killed)" -le "$edits"
# By the way in which ranks are started where there is no PMIx.
job=$(ANCHORAGE_LAUNCHER="mpirun --bind-to none" submit killed --ntasks-per-node=1 --gpus-per-task=0)
ends_undisturbed killed "$job"
echo "killed: the job failed, and the next one did the rest"

write_settings bound
sed -i "s#^PROGRAM=.*#PROGRAM=$folder/gpus#" "$folder/bound.settings"
job=$(submit bound --ntasks-per-node=2)
wait_until 60 "job $job to be completed" is_completed "$job"
expect "a GPU of its own for each of four ranks" \
  cmp <(cat "$folder"/gpus-of-* | sort) <(printf '%s\n' 'node1 0' 'node1 1' 'node2 0' 'node2 1')
echo "bound: a GPU a rank"
