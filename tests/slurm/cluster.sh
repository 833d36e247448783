# A real Slurm on this machine: one controller, one node, munge between them. Sourced by the tests; root alone can start it.
# start_cluster FOLDER, stop_cluster. The cluster's configuration is named by SLURM_CONF.

start_cluster() {
  cluster=$1
  mkdir -p "$cluster"/{state,spool,munge,log}
  local host cores
  host=$(hostname -s)
  cores=$(nproc)
  dd if=/dev/urandom of="$cluster/munge/key" bs=1 count=1024 status=none
  chown -R munge: "$cluster/munge"
  chmod 700 "$cluster/munge"
  chmod 400 "$cluster/munge/key"
  chmod 755 "$cluster"
  # munged insists on a socket's folder that everybody can enter and nobody but its owner can write.
  mkdir -p "$cluster/socket"
  chown munge: "$cluster/socket"
  chmod 755 "$cluster/socket"
  runuser -u munge -- /usr/sbin/munged --key-file="$cluster/munge/key" --socket="$cluster/socket/munge" \
    --pid-file="$cluster/munge/pid" --log-file="$cluster/munge/log" --seed-file="$cluster/munge/seed"
  export SLURM_CONF=$cluster/slurm.conf
  cat >"$SLURM_CONF" <<CONF
ClusterName=anchorage
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$cluster/socket/munge
CredType=cred/munge
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/slurmd.pid
SlurmctldLogFile=$cluster/log/slurmctld
SlurmdLogFile=$cluster/log/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
JobRequeue=1
KillWait=5
SchedulerParameters=sched_interval=2,bf_interval=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
  slurmctld -c
  slurmd -c
  for ((second = 0; second < 30; ++second)); do
    [[ $(sinfo -h -o %t 2>/dev/null) == idle ]] && return
    sleep 1
  done
  cat "$cluster"/log/* >&2
  echo "error: expected an idle node after 30 s, found '$(sinfo -h -o %t 2>&1)'" >&2
  return 1
}

stop_cluster() {
  [[ ${cluster:-} ]] || return 0
  scancel --full -u root 2>/dev/null || true
  local pid
  for pid in "$cluster"/slurmd.pid "$cluster"/slurmctld.pid "$cluster"/munge/pid; do
    [[ -r $pid ]] && kill "$(cat "$pid")" 2>/dev/null
  done
  return 0
}
