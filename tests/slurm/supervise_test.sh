#!/usr/bin/env bash
# launch/refresh/supervise: a refresh whose program is killed in the middle is started again and ends with the bits of an
# undisturbed one; one that can commit nothing is given up; one that is told to stop is not started again. launch/refresh/refresh:
# an export that was killed is not in the way of the next one, the summary names one that failed, a signal ends it, and
# a name with a comma is refused, and edits that have expired are named, and removed where the settings say so.
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
