# shellcheck shell=bash
# Sourced by launch/refresh/refresh: the figures of a refresh in Prometheus' text format, for the textfile collector of
# node-exporter and for a Pushgateway (docs/operations.md, Metrics). A figure that cannot be written or pushed is a
# warning: no refresh fails of it.

# last_success FILE: the time of the last success in earlier figures, nothing where there is none.
last_success() {
  sed -n 's/^anchorage_refresh_last_success_timestamp_seconds{.*} \([0-9]\+\)$/\1/p' "$1" 2>/dev/null
}

# figure NAME HELP VALUE: one figure of this refresh, whose run is a label.
figure() {
  local run=${RUN//\\/\\\\}
  run=${run//\"/\\\"}
  printf '# HELP anchorage_refresh_%s %s\n# TYPE anchorage_refresh_%s gauge\n' "$1" "$2" "$1"
  printf 'anchorage_refresh_%s{run="%s"} %s\n' "$1" "$run" "$3"
}

# refresh_figures STATUS BEGIN SUCCESS COMMITTED SET_ASIDE REVERTED CANARIES: all of them; SUCCESS may be empty.
refresh_figures() {
  local now
  now=$(date +%s)
  figure last_end_timestamp_seconds "When the last refresh ended, seconds since 1970." "$now"
  [[ ! $3 ]] || figure last_success_timestamp_seconds "When the last refresh ended that did all it had to, seconds since 1970." "$3"
  figure exit_status "Exit status of the last refresh: 0 done, 3 done with edits set aside, 75 stopped, otherwise it failed." "$1"
  figure duration_seconds "How long the last refresh took." "$((now - $2))"
  figure edits_committed "Edits that the last refresh committed." "$4"
  figure edits_set_aside "Edits that the last refresh reported as set aside." "$5"
  figure batches_reverted "Batches, or parts of one, that the guard reverted in the last refresh." "$6"
  figure failed_canaries "Canaries that broke in the last refresh, or did not hold when it exported." "$7"
}

# write_figures FILE: standard input as the file, which is there as a whole or as it was.
write_figures() {
  local new
  # A name that the collector does not read, on the same file system.
  new=$(mktemp "$(dirname "$1")/.$(basename "$1").XXXXXX") && cat >"$new" && chmod 644 "$new" && mv -T "$new" "$1" && return
  echo "warning: expected to write METRICS_FILE=$1; the figures of this refresh are missing there" >&2
  [[ ! $new ]] || rm -f "$new"
}

# push_figures URL: standard input to a Pushgateway, in place of what an earlier refresh pushed under these names.
push_figures() {
  curl --silent --show-error --fail --max-time 30 --data-binary @- "$1" >/dev/null ||
    echo "warning: expected METRICS_PUSH=$1 to take the figures of this refresh; they are missing there" >&2
}
