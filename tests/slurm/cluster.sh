# A real Slurm of two nodes on this machine: a controller, two slurmd, munge between them. Sourced by the tests; root
# alone can start it. require_slurm, start_cluster FOLDER, stop_cluster, and what the tests ask of a job. The cluster's
# configuration is named by SLURM_CONF.

# Ends the test with exit code 77, which CTest knows as skipped, where there can be no such cluster.
require_slurm() {
  local tool
  if ((EUID != 0)); then
    echo "skipped: a Slurm controller and its munge can be started by root alone"
    exit 77
  fi
  export PATH=$PATH:/usr/sbin
  for tool in slurmctld slurmd munged sbatch; do
    [[ $(command -v "$tool") ]] && continue
    echo "skipped: $tool is not installed (Debian: slurm-wlm, munge)"
    exit 77
  done
}

start_cluster() {
  cluster=$1
  # A folder for each node: PMIx makes folders there whose names know the job step and not the node.
  mkdir -p "$cluster"/{state,munge,log,socket} "$cluster"/{spool,tmp}/node{1,2}
  local host cores
  host=$(hostname -s)
  cores=$(env -u OMP_NUM_THREADS nproc) # which that variable would lower
  dd if=/dev/urandom of="$cluster/munge/key" bs=1 count=1024 status=none
  # munged insists on a socket's folder that everybody can enter and nobody but its owner can write.
  chown -R munge: "$cluster/munge" "$cluster/socket"
  chmod 700 "$cluster/munge"
  chmod 400 "$cluster/munge/key"
  chmod 755 "$cluster" "$cluster/socket"
  runuser -u munge -- /usr/sbin/munged --key-file="$cluster/munge/key" --socket="$cluster/socket/munge" \
    --pid-file="$cluster/munge/pid" --log-file="$cluster/munge/log" --seed-file="$cluster/munge/seed"
  export SLURM_CONF=$cluster/slurm.conf
  cat >"$SLURM_CONF" <<CONF
ClusterName=anchorage
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$cluster/socket/munge
CredType=cred/munge
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool/%n
TmpFS=$cluster/tmp/%n
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/%n.pid
SlurmctldLogFile=$cluster/log/slurmctld
SlurmdLogFile=$cluster/log/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
ReturnToService=2
JobRequeue=1
KillWait=5
SchedulerParameters=sched_interval=2,bf_interval=2
NodeName=node1 NodeHostname=$host NodeAddr=127.0.0.1 Port=16821 CPUs=$cores Gres=gpu:2 State=UNKNOWN
NodeName=node2 NodeHostname=$host NodeAddr=127.0.0.1 Port=16822 CPUs=$cores Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes=node[1-2] Default=YES MaxTime=INFINITE State=UP
CONF
  # What Slurm takes for GPUs, since it wants devices: it hands them out by number, and nobody computes on them.
  ln -s /dev/null "$cluster/gpu0"
  ln -s /dev/zero "$cluster/gpu1"
  echo "Name=gpu File=$cluster/gpu[0-1]" >"$cluster/gres.conf"
  if slurmctld -c && slurmd -c -N node1 && slurmd -c -N node2; then
    for ((second = 0; second < 30; ++second)); do
      [[ $(sinfo -h -o '%D %t' 2>/dev/null) == '2 idle' ]] && return
      sleep 1
    done
  fi
  cat "$cluster"/log/* >&2
  echo "error: expected two idle nodes within 30 s, found '$(sinfo -h -o '%D %t' 2>&1)'" >&2
  return 1
}

stop_cluster() {
  [[ ${cluster:-} ]] || return 0
  scancel --full -u root 2>/dev/null || true
  local file pids=()
  for file in "$cluster"/node{1,2}.pid "$cluster"/slurmctld.pid "$cluster"/munge/pid; do
    [[ ! -r $file ]] || pids+=("$(cat "$file")")
  done
  ((${#pids[@]})) || return 0
  kill "${pids[@]}" 2>/dev/null || true
  # The controller saves its state on its way out, into a folder that is removed next.
  for ((tenth = 0; tenth < 100; ++tenth)); do
    kill -0 "${pids[@]}" 2>/dev/null || return 0
    sleep 0.1
  done
}

state_of() { scontrol show job "$1" | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p'; }
is_completed() { [[ $(state_of "$1") == COMPLETED ]]; }
has_failed() { [[ $(state_of "$1") == FAILED ]]; }
# Slurm lets a job that was queued again wait for two minutes; here two seconds do, but they have to be, from when it
# waits: slurmd launches no job in the second in which it was killed, and Slurm ends such a job for good.
start_if_queued() {
  [[ $(state_of "$1") == PENDING ]] || return 0
  sleep 2
  scontrol update JobId="$1" StartTime=now >/dev/null 2>&1 || true
}
starts_again() {
  is_running_again "$1" && return
  start_if_queued "$1"
  is_running_again "$1"
}
is_running_again() { [[ $(scontrol show job "$1") == *Restarts=1* && $(state_of "$1") =~ RUNNING|COMPLETED ]]; }
