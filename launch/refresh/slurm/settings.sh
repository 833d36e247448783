# What a refresh needs to know, in one place: copy this file, fill it in, and give it to launch/refresh/refresh,
# launch/refresh/supervise or the job scripts in this folder. A shell reads it.

# The run: a directory that all ranks see. Created by the first refresh, resumed by every later one.
RUN=$HOME/refresh/run
# Files of edits; every file in here is read each time, in the order of their names, what is committed already is not
# written again. Dated names (2026-11-26.jsonl) have the newest answer to a question win; a name must not have commas.
INBOX=$HOME/refresh/inbox
# Where the edited model is exported to after a refresh that ended; its predecessor is kept as $EXPORT.previous.
EXPORT=$HOME/refresh/model
# The last refresh in words, ready to be mailed.
SUMMARY=$HOME/refresh/summary.txt

# For the first refresh alone; later ones take them from RUN/run.yaml.
MODEL=$HOME/models/Llama-2-13b-hf
HPARAMS=$HOME/anchorage/launch/hparams/llama2-13b.yaml
STATISTICS=$HOME/refresh/statistics.h5
METHOD=b-eac
BATCH=32

# The program, how its ranks are started, and further options of `anchorage edit`: on GPUs "--device cuda", which makes an
# error of a missing driver, where the ranks would work on CPUs.
PROGRAM=$HOME/anchorage/build/release/anchorage
LAUNCHER="mpirun --bind-to none --map-by slot"
OPTIONS=""

# yes: edits whose `expires` has come are removed before others are written; otherwise the summary lists them.
REMOVE_EXPIRED=no

# Further options of `anchorage export`: "--link" shares files of weights that no edit changed with MODEL, which must be on
# the same file system; "--verify" reads the model back (docs/serving.md).
EXPORT_OPTIONS=""

# Who is mailed; empty: nobody. Needs a `mail` command on the node.
MAIL=""

# Figures of each refresh for monitoring (docs/operations.md, Metrics); empty: none. A file that node-exporter's textfile
# collector reads, such as /var/lib/node_exporter/textfile/anchorage.prom, one for each run; and a Pushgateway, such as
# http://pushgateway:9091/metrics/job/anchorage, which needs curl on the node.
METRICS_FILE=""
METRICS_PUSH=""

# For launch/refresh/serve alone: the address of the service, and the file of its tokens (docs/service.md).
LISTEN=127.0.0.1:8470
TOKEN_FILE=$HOME/refresh/tokens
