# shellcheck shell=bash
# Sourced by launch/refresh/refresh, launch/refresh/supervise and the job scripts in launch/refresh/slurm, which SIGUSR1, SIGTERM and SIGINT do not
# end from here on: what they run by pass_signals_to hears them.

signalled=""
process=""

pass_on() {
  signalled=yes
  [[ ! $process ]] || kill -USR1 "$process" 2>/dev/null
}
trap pass_on USR1 TERM INT

# pass_signals_to COMMAND...: runs the command and returns its exit status. The signals reach it as SIGUSR1, which ends a run
# after the current batch: mpirun passes that on to its ranks, where on SIGTERM it would kill them. A command that does not
# hear SIGUSR1 is ended by it, and one that a signal comes before does not begin: the status of both is 75.
pass_signals_to() {
  local status=0
  [[ ! $signalled ]] || return 75
  # In the background, so that the shell hears signals while it waits. Open MPI 4's mpirun may die of SIGPIPE after its
  # ranks have ended well (docs/cluster.md, "Exit code 141").
  (
    trap '' PIPE
    exec "$@"
  ) &
  process=$!
  [[ ! $signalled ]] || pass_on # it came while there was no process to pass it to
  while kill -0 "$process" 2>/dev/null; do
    wait "$process" # which a signal ends too
  done
  wait "$process" || status=$? # the shell keeps it
  process=""
  ((status != 138)) || status=75
  return "$status"
}
