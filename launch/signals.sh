# shellcheck shell=bash
# Sourced by launch/refresh, launch/supervise and the job scripts in launch/slurm.

# pass_signals_to COMMAND...: runs the command and returns its exit status. SIGUSR1, SIGTERM and SIGINT reach it as SIGUSR1,
# which ends a run behind the batch at hand: mpirun passes that on to its ranks, where on SIGTERM it would kill them.
pass_signals_to() {
  local status=0 process
  # In the background, so that the shell hears signals while it waits.
  "$@" &
  process=$!
  # shellcheck disable=SC2064  # this process, not a later one
  trap "kill -USR1 $process 2>/dev/null" USR1 TERM INT
  wait "$process" || status=$?
  while kill -0 "$process" 2>/dev/null; do # a signal ends `wait`, not the process
    status=0
    wait "$process" || status=$?
  done
  trap - USR1 TERM INT
  return "$status"
}
