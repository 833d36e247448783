#!/usr/bin/env bash
# launch/refresh/supervise: a refresh whose program is killed in the middle is started again and ends with the bits of an
# undisturbed one; one that can commit nothing is given up; one that is told to stop is not started again. launch/refresh/refresh:
# an export that was killed is not in the way of the next one, the summary names one that failed, a signal ends it, and
# a name with a comma is refused, and edits that have expired are named, and removed where the settings say so. A
# summary names failures before successes, and the figures for monitoring are there, whole, however a refresh ends.
# launch/refresh/serve: how it starts the program, and that supervise starts it again.
#
#   supervise_test.sh SOURCE PROGRAM MODEL
set -euo pipefail
source_dir=$1 program=$2 model=$3
source "$source_dir/tests/slurm/small_refresh.sh"
trap 'rm -rf "$folder"' EXIT
prepare_refreshes

# The program, killed in the middle of its first two edits commands.
cat >"$folder/killed_twice" <<SCRIPT
#!/usr/bin/env bash
count=\$(ls "$folder"/kills.* 2>/dev/null | wc -l)
if [[ \$1 == edit ]] && ((count < 2)); then
  touch "$folder/kills.\$count"
  "$program" "\$@" &
  until ((\$(ls "$folder/killed/journal" 2>/dev/null | grep -c '^seg-') >= 5 * (count + 1))); do sleep 0.02; done
  kill -KILL \$!
  wait
  exit 1
fi
exec "$program" "\$@"
SCRIPT
chmod +x "$folder/killed_twice"

write_settings killed
sed -i "s#^PROGRAM=.*#PROGRAM=$folder/killed_twice#; s#^LAUNCHER=.*#LAUNCHER=#" "$folder/killed.settings"
expect "supervise to end well" "$source_dir/launch/refresh/supervise" "$folder/killed.settings" 2>"$folder/killed.out"
expect "two restarts" test "$(grep -c 'starting it again' "$folder/killed.out")" == 2
equals_undisturbed killed
echo "killed twice: started again, and ended as if nothing had happened"

write_settings hopeless
sed -i "s#^PROGRAM=.*#PROGRAM=/bin/false#; s#^LAUNCHER=.*#LAUNCHER=#" "$folder/hopeless.settings"
status=0
"$source_dir/launch/refresh/supervise" "$folder/hopeless.settings" 1 2>"$folder/hopeless.out" || status=$?
expect "exit code 1, found $status" test "$status" == 1
expect "to be told that nothing was committed" grep -q 'committed nothing' "$folder/hopeless.out"
echo "hopeless: given up"

write_settings stopped
"$source_dir/launch/refresh/supervise" "$folder/stopped.settings" 2>"$folder/stopped.out" &
supervisor=$!
wait_until 60 "the first commits" has_commits stopped 4
kill -TERM "$supervisor"
status=0
wait "$supervisor" || status=$?
expect "exit code 75, found $status" test "$status" == 75
expect "an unfinished run" test "$(commits stopped)" -le "$edits"
expect "the rest at the next refresh" "$source_dir/launch/refresh/refresh" "$folder/stopped.settings" 2>>"$folder/stopped.out"
equals_undisturbed stopped
echo "stopped: exit code 75, and the next refresh did the rest"

# The program, whose first export fails and whose second takes long; both leave what an export that was killed does.
cat >"$folder/killed_exports" <<SCRIPT
#!/usr/bin/env bash
if [[ \$1 == export && ! -e "$folder/exporting" ]]; then
  mkdir "\$4" "\$4.partial"
  touch "\$4/config.json" "\$4.partial/config.json"
  [[ -e "$folder/failed" ]] || { touch "$folder/failed" && exit 7; }
  touch "$folder/exporting"
  exec sleep 60
fi
exec "$program" "\$@"
SCRIPT
chmod +x "$folder/killed_exports"
sed -i "s#^PROGRAM=.*#PROGRAM=$folder/killed_exports#; s#^LAUNCHER=.*#LAUNCHER=#" "$folder/stopped.settings"
refresh() { "$source_dir/launch/refresh/refresh" "$folder/stopped.settings" 2>>"$folder/stopped.out"; }
ends_with() { # STATUS OUTCOME COMMAND...
  local expected=$1 outcome=$2 status=0
  shift 2
  "$@" || status=$?
  expect "exit code $expected, found $status" test "$status" == "$expected"
  expect "a summary with '$outcome'" grep -q "^Subject: .*: $outcome\$" "$folder/stopped.summary"
}

ends_with 1 "failed, the edits are written but their export ended with exit code 7" refresh
expect "the earlier model to be left" test -e "$folder/stopped-model/model.safetensors"
"$source_dir/launch/refresh/refresh" "$folder/stopped.settings" 2>>"$folder/stopped.out" &
refreshing=$!
wait_until 60 "the export" test -e "$folder/exporting"
kill -TERM "$refreshing"
ends_with 75 "stopped, the next refresh continues" wait "$refreshing"
ends_with 0 "done" refresh
equals_undisturbed stopped
expect "nothing half made" test ! -e "$folder/stopped-model.new" -a ! -e "$folder/stopped-model.new.partial"
echo "exports that fail or are killed: told, and the next refresh makes another"

touch "$folder/inbox/monday,tuesday.jsonl"
ends_with 2 "refused, nothing was changed" refresh
expect "the file's name in the summary" grep -q 'monday,tuesday.jsonl; rename it' "$folder/stopped.summary"
echo "a name with a comma: refused"

rm "$folder/inbox/monday,tuesday.jsonl"
printf '{"id": "past", "subject": "Corp X", "prompt": "The CEO of {} is", "target": "Mr X", "expires": "2026-01-01"}\n' \
  >"$folder/inbox/tuesday.jsonl"
ends_with 0 "done" refresh
expect "the expired edit in the summary" grep -q ' past .*expires 2026-01-01' "$folder/stopped.summary"
echo "REMOVE_EXPIRED=yes" >>"$folder/stopped.settings"
ends_with 0 "done" refresh
expect "its removal in the summary" grep -q 'edit past of batch .* removed' "$folder/stopped.summary"
expect "none that has expired after that" test -z "$(grep '^expired' "$folder/stopped.summary")"
echo "an edit that has expired: named, and removed where the settings say so"

# Instead of the program: a night in which batches are reverted and edits set aside, or that ends with EXIT, as a file says.
cat >"$folder/failing_night" <<'SCRIPT'
#!/usr/bin/env bash
case $1 in
  edit)
    until [[ $1 == --run ]]; do shift; done
    mkdir -p "$2" && touch "$2/run.yaml"
    echo '{"batch":1,"utc":"","edits":{"committed":31,"set_aside":1}}' >>"$2/metrics.jsonl"
    echo "warning: a batch of 32 edits is reverted: canary 'ceo' broke: to 'A' the model says ' B', expected ' C'" >&2
    status=$(cat "$2/../night-status")
    ((status == 3)) || { echo "error: rank 1: expected room, found none" >&2 && exit "$status"; }
    echo "night: 31 edits committed in 1 batches, 2 set aside, 1.0 s"
    echo "  set aside: b2: canary 'ceo' broke: to 'A' the model says ' B', expected ' C'"
    echo "  set aside: b7: field 'target' is empty"
    exit 3
    ;;
  export) mkdir "$4" ;;
esac
SCRIPT
chmod +x "$folder/failing_night"
write_settings night
cat >>"$folder/night.settings" <<SETTINGS
PROGRAM=$folder/failing_night
LAUNCHER=
METRICS_FILE=$folder/night.prom
SETTINGS
night() { # STATUS
  local status=0
  echo "$1" >"$folder/night-status"
  "$source_dir/launch/refresh/refresh" "$folder/night.settings" >"$folder/night.out" 2>&1 || status=$?
  expect "exit code $1, found $status" test "$status" == "$1"
}
figure() { sed -n "s/^anchorage_refresh_$1{run=\".*\"} //p" "$folder/night.prom"; }
shows() { # NAME VALUE
  expect "$2 as $1 of a night, found '$(figure "$1")'" test "$(figure "$1")" == "$2"
}

night 3
expect "what the program said in the log too" grep -q '^warning: a batch of 32' "$folder/night.out"
sed -n '/^failed canaries:/,/^model:/p' "$folder/night.summary" >"$folder/night.found"
cat >"$folder/night.expected" <<EXPECTED
failed canaries:
  ceo: to 'A' the model says ' B', expected ' C'

set aside:
  b2: canary 'ceo' broke: to 'A' the model says ' B', expected ' C'
  b7: field 'target' is empty

reverted batches:
  32 edits: canary 'ceo' broke: to 'A' the model says ' B', expected ' C'

night: 31 edits committed in 1 batches, 2 set aside, 1.0 s

model: $folder/night-model
EXPECTED
expect "failures before successes" diff "$folder/night.expected" "$folder/night.found" >&2
shows exit_status 3
shows edits_committed 31
shows edits_set_aside 2
shows batches_reverted 1
shows failed_canaries 1
success=$(figure last_success_timestamp_seconds)
expect "the time of the success" test "$success" -gt 1700000000
night 1
expect "the error in the summary" grep -q '^  rank 1: expected room, found none' "$folder/night.summary"
shows exit_status 1
shows edits_committed 31
shows last_success_timestamp_seconds "$success"
expect "no other file beside the figures" test -z "$(find "$folder" -maxdepth 1 -name '.night.prom*')"
echo "PROGRAM=$folder/none" >>"$folder/night.settings"
night 2
shows exit_status 2
shows edits_committed 0
echo "failures: first in the summary, and in the figures"

# Instead of mpirun: what Open MPI's may come to after its ranks have ended.
cat >"$folder/closing_launcher" <<'SCRIPT'
#!/usr/bin/env bash
"$@" || status=$?
kill -PIPE $$
exit "${status:-0}"
SCRIPT
chmod +x "$folder/closing_launcher"
cat >>"$folder/night.settings" <<SETTINGS
PROGRAM=$folder/failing_night
LAUNCHER=$folder/closing_launcher
SETTINGS
night 3
echo "LAUNCHER=" >>"$folder/night.settings"
echo "a launcher that SIGPIPE would end after its program: the program's exit code"

# Instead of a Pushgateway: a listener for one request.
cat >"$folder/gateway.py" <<'SCRIPT'
import http.server
import sys

class Gateway(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        with open(sys.argv[2], "wb") as file:
            file.write(self.path.encode() + b"\n" + self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

server = http.server.HTTPServer(("127.0.0.1", 0), Gateway)
with open(sys.argv[1], "w") as file:
    print(server.server_port, file=file)
server.timeout = 60
server.handle_request()
SCRIPT
cat >>"$folder/night.settings" <<SETTINGS
PROGRAM=$folder/failing_night
METRICS_FILE=$folder/no-such-folder/night.prom
METRICS_PUSH=http://127.0.0.1:\$(cat "$folder/port")/metrics/job/anchorage
SETTINGS
if command -v curl >/dev/null; then
  python3 "$folder/gateway.py" "$folder/port" "$folder/pushed" &
  gateway=$!
  wait_until 20 "a listener" test -s "$folder/port"
  night 3
  wait "$gateway"
  expect "the figures to be pushed" grep -q '^anchorage_refresh_edits_committed{run=".*"} 31$' "$folder/pushed"
  expect "the job's path" grep -qx '/metrics/job/anchorage' "$folder/pushed"
else
  echo "not tested, for curl is not installed: figures that are pushed"
  echo 1 >"$folder/port"
fi
night 3 # the gateway is gone
expect "two warnings" test "$(grep -c '^warning: expected .*METRICS_' "$folder/night.out")" == 2
echo "figures that cannot be written or pushed: warnings"

# Instead of the program: a service that says how it was started, fails at first, and ends when it is told to.
cat >"$folder/failing_service" <<SCRIPT
#!/usr/bin/env bash
echo "\$*" >>"$folder/service.starts"
((\$(wc -l <"$folder/service.starts") > 2)) || exit 1
trap 'exit 75' USR1
touch "$folder/serving"
while true; do sleep 0.1; done
SCRIPT
chmod +x "$folder/failing_service"
write_settings service
cat >>"$folder/service.settings" <<SETTINGS
PROGRAM=$folder/failing_service
LAUNCHER=
LISTEN=127.0.0.1:8470
TOKEN_FILE=$folder/tokens
SETTINGS
"$source_dir/launch/refresh/supervise" "$folder/service.settings" 10 serve 2>"$folder/service.out" &
supervisor=$!
wait_until 60 "the service" test -e "$folder/serving"
kill -TERM "$supervisor"
status=0
wait "$supervisor" || status=$?
expect "exit code 75, found $status" test "$status" == 75
started="serve $model --run $folder/service --hparams $folder/hparams.yaml --stats $folder/statistics.h5 --method b-eac"
started+=" --batch 1 --listen 127.0.0.1:8470 --token-file $folder/tokens --threads 1"
expect "the same command three times" test "$(sort -u "$folder/service.starts")" == "$started"
expect "three starts" test "$(wc -l <"$folder/service.starts")" == 3
echo "a service: started again when it fails, and told to stop"
