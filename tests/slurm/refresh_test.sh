#!/usr/bin/env bash
# Nightly refreshes on a real Slurm that this test starts on this machine: a job that is preempted by requeue in the
# middle, and one that is told to stop by SIGUSR1, run again by themselves and end with the bits of an undisturbed run.
# With GPUs asked for, both ranks of a node see both. A service is queued again when it is told to stop by SIGUSR1 or its
# job is requeued, with the same command, and not when it ends by itself.
#
#   refresh_test.sh SOURCE PROGRAM MODEL       needs root, slurm-wlm and munge; exit code 77: skipped
set -euo pipefail
source_dir=$1 program=$2 model=$3
source "$source_dir/tests/slurm/cluster.sh"

require_slurm
export ANCHORAGE_SOURCE=$source_dir
source "$source_dir/tests/slurm/small_refresh.sh"
trap 'stop_cluster; rm -rf "$folder"' EXIT

prepare_refreshes
start_cluster "$folder/cluster"

# Instead of the program: which GPUs a rank sees.
cat >"$folder/gpus" <<SCRIPT
#!/usr/bin/env bash
[[ \$1 != edit ]] || echo "\$CUDA_VISIBLE_DEVICES" >"$folder/gpus-of-\$OMPI_COMM_WORLD_LOCAL_RANK"
[[ \$1 != export ]] || mkdir "\$4"
SCRIPT
chmod +x "$folder/gpus"

submit() { # NAME OPTIONS...
  local name=$1
  shift
  sbatch --parsable --output="$folder/$name.out" --ntasks=1 "$@" \
    "$source_dir/launch/refresh/slurm/${script:-refresh}.sbatch" "$folder/$name.settings"
}
finishes_undisturbed() { # NAME JOB
  wait_until 120 "job $2 to be completed" is_completed "$2"
  equals_undisturbed "$1"
  echo "$1: job $2 ran twice and ended as if nothing had happened"
}

write_settings preempted
job=$(submit preempted)
wait_until 60 "the first commits" has_commits preempted 4
expect "requeue to be accepted" scontrol requeue "$job"
expect "an unfinished run when it was preempted" test "$(commits preempted)" -le "$edits"
wait_until 180 "job $job to run again" starts_again "$job"
finishes_undisturbed preempted "$job"

write_settings signalled
job=$(submit signalled)
wait_until 60 "the first commits" has_commits signalled 4
expect "the signal to be sent" scancel --batch --signal=USR1 "$job"
wait_until 180 "job $job to run again" starts_again "$job"
finishes_undisturbed signalled "$job"

write_settings seen
sed -i "s#^PROGRAM=.*#PROGRAM=$folder/gpus#" "$folder/seen.settings"
job=$(submit seen --gpus-per-node=2)
wait_until 60 "job $job to be completed" is_completed "$job"
expect "both GPUs for each of two ranks" cmp <(cat "$folder"/gpus-of-{0,1}) <(printf '%s\n' 0,1 0,1)
echo "seen: both GPUs by both ranks"

# Instead of the program: a service, which ends by itself where a file says so, as it does on POST /v1/stop.
cat >"$folder/service" <<SCRIPT
#!/usr/bin/env bash
trap 'exit 75' USR1
echo "\$*" >>"$folder/served.starts"
until [[ -e "$folder/served.stop" ]]; do sleep 0.1; done
SCRIPT
chmod +x "$folder/service"
has_starts() { [[ -e $folder/served.starts ]] && (($(wc -l <"$folder/served.starts") >= $1)); }
# As starts_again of tests/slurm/cluster.sh, by what the job has done.
starts_once_more() { # JOB STARTS
  has_starts "$2" && return
  start_if_queued "$1"
  has_starts "$2"
}

write_settings served
printf '%s\n' "PROGRAM=$folder/service" LAUNCHER= LISTEN=127.0.0.1:8470 >>"$folder/served.settings"
job=$(script=serve submit served)
wait_until 60 "the service" has_starts 1
expect "the signal to be sent" scancel --batch --signal=USR1 "$job"
wait_until 180 "the service again" starts_once_more "$job" 2
expect "requeue to be accepted" scontrol requeue "$job"
wait_until 180 "the service once more" starts_once_more "$job" 3
touch "$folder/served.stop"
wait_until 120 "job $job to be completed" is_completed "$job"
expect "the same command each time" test "$(sort -u "$folder/served.starts" | wc -l)" == 1
expect "three starts" test "$(wc -l <"$folder/served.starts")" == 3
echo "served: job $job ran three times, and ended when the service did"
