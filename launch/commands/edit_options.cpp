#include "launch/commands/edit_options.hpp"

#include "launch/program/chat_template.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/number_checks.hpp"

namespace anchorage::launch {

void add_run_options(CLI::App& command, EditOptions& options) {
  add_format_option(command, options.format);
  add_chat_template_option(command, options.chat_template);
  add_hparams_options(command, options.hparams, options.assignments);  // for a new run
  add_method_option(command, options.method);
  command.add_option("--stats", options.statistics, "key statistics, from 'anchorage stats'; needed for a new run");
  command.add_option(
      "--protect", options.protect,
      "a file of prompts that must keep their answers, JSON or JSON Lines: updates leave alone what the "
      "weights hold for them");
  command.add_option(
      "--canaries", options.canaries,
      "a file of prompts that must be answered so, or as the unedited model answers them: a batch that "
      "breaks one is reverted");
  command.add_option("--batch", options.batch, "edits per batch")->check(whole_number(1, most_edits));
  command.add_option("--seed", options.seed, "seed of the context prefixes")->check(whole_number(0));
  command
      .add_option("--on-conflict", options.on_conflict,
                  "an edit whose subject and prompt an earlier one has, with another target: supersede, refuse or "
                  "keep-both")
      ->check(CLI::IsMember({"supersede", "refuse", "keep-both"}));
  command
      .add_option("--checkpoint-every", options.checkpoint_every,
                  "batches between two weight checkpoints, which make resuming quick; 0: none")
      ->check(whole_number(0));
  command
      .add_option("--grace", options.grace,
                  "seconds after SIGTERM, SIGINT or SIGUSR1 in which the current batch may finish; it is dropped "
                  "if it takes longer")
      ->check(number_above_zero());
  command.add_option("--trace", options.trace,
                     "a file to write, in Chrome's trace format, of what each rank does and waits for: open it in "
                     "ui.perfetto.dev or chrome://tracing");
  command.add_flag("--count-kernels", options.count_kernels,
                   "on GPUs, count kernels and the time without one, for --json: for short runs, it takes memory");
  command.add_flag("--strict", options.strict, "a record that cannot be used is an error");
  command.add_flag(
      "--require-approval", options.require_approval,
      "set aside edits that nobody but their author has approved ('anchorage approve'); a run that began "
      "with it keeps it");
}

void add_token_file_option(CLI::App& command, EditOptions& options) {
  command.add_option("--token-file", options.token_file,
                     "a file with a line 'TOKEN ROLE' each, with the roles read, write and approve; without it a "
                     "loopback address alone is listened on, for reading");
}

}  // namespace anchorage::launch
