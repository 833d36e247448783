// The program's subcommands. Each adds itself to the command line; parsing it picks the action to run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "launch/program/options.hpp"
#include "launch/program/session.hpp"

namespace anchorage::launch {

// 0: done; 1: failed; 2: bad usage or bad input, nothing was changed; 3: done, but edits were set aside; 75:
// stopped by a signal after the last commit.
enum ExitCode : int { done = 0, failed = 1, bad_input = 2, some_set_aside = 3, stopped = 75 };

struct CommandLine {
  CLI::App app{
      "Anchorage keeps a large language model's knowledge current: it writes batches of factual edits into its "
      "weights."};
  SessionOptions session;
  std::function<int(Session&)> action;  // the command that was requested
};

void add_info_command(CommandLine& line);
void add_tokenize_command(CommandLine& line);
void add_score_command(CommandLine& line);
void add_generate_command(CommandLine& line);
void add_stats_command(CommandLine& line);
void add_plan_command(CommandLine& line);
void add_edit_command(CommandLine& line);
void add_serve_command(CommandLine& line);
void add_eval_command(CommandLine& line);
void add_export_command(CommandLine& line);
void add_journal_command(CommandLine& line);
void add_rollback_command(CommandLine& line);
void add_remove_command(CommandLine& line);
void add_approve_command(CommandLine& line);
void add_tune_command(CommandLine& line);
void add_report_command(CommandLine& line);
void add_view_command(CommandLine& line);

}  // namespace anchorage::launch
