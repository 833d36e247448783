// anchorage: one program with subcommands; mpirun or srun starts it on several ranks.

#include <fmt/ranges.h>
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "io/error.hpp"
#include "io/nearest_name.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/version.hpp"
#include "sharding/collective/mpi_session.hpp"

namespace anchorage::launch {
namespace {

// MKL and cuBLAS read these variables at their first use: the same operation on the same shape then gives the
// same bits wherever its operands lie in memory; cuBLAS keeps to one workspace, and does not round f32 to
// TF32.
void ask_for_repeatable_arithmetic() {
  setenv("MKL_CBWR", "AUTO,STRICT", 0);
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 1);
  unsetenv("NVIDIA_TF32_OVERRIDE");
}

// Lets the next step reuse the memory that this one frees. By glibc's defaults, tensors above a threshold get
// their own pages, which are returned when freed and cleared by the kernel when allocated again. Keeps up to
// 2 GB at the heap's end.
void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

// Names an unknown command; CLI11 would only say that a command is required.
void require_known_command(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
  const std::vector<std::string_view> names(commands.begin(), commands.end());
  const auto nearest = io::nearest_name(argv[1], names);
  if (nearest.distance == 0) return;
  throw io::UserError({.expected = fmt::format("a command: {}", fmt::join(names, ", ")),
                       .found = argv[1],
                       .where = "",
                       .remedy = fmt::format("the nearest one is '{}'", nearest.name)});
}

// An empty list is no default that --help should show.
void hide_empty_defaults(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_default_str() == "[]") option->default_str("");
  }
  for (CLI::App* command : app.get_subcommands({})) hide_empty_defaults(*command);
}

int run(int argc, char** argv, sharding::MpiSession& mpi) {
  CommandLine line;
  line.app.require_subcommand(1);
  bool is_json = false;
  CLI::Option* json =
      line.app.add_flag("--json", is_json, "with --version: one JSON document, with the commit and the libraries");
  json->needs(line.app.set_version_flag(
      "--version", [json] { return json->count() > 0 ? version_document() : std::string(ANCHORAGE_VERSION); }));
  line.app.option_defaults()->always_capture_default();  // --help shows them
  for (const auto add : {add_info_command, add_tokenize_command, add_score_command, add_generate_command,
                         add_stats_command, add_plan_command, add_edit_command, add_serve_command, add_eval_command,
                         add_export_command, add_journal_command, add_rollback_command, add_remove_command,
                         add_approve_command, add_tune_command, add_report_command, add_view_command}) {
    add(line);
  }
  hide_empty_defaults(line.app);
  require_known_command(line.app, argc, argv);
  try {
    line.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (mpi.rank() != 0) return error.get_exit_code() == 0 ? done : bad_input;
    return line.app.exit(error) == 0 ? done : bad_input;
  }
  Session session(line.session, mpi.world({.deadline = sharding::Seconds(line.session.deadline)}),
                  [&mpi](int exit_code) { mpi.abandon_job(exit_code); });
  return line.action(session);
}

// All ranks usually meet a wrong option or file at once: rank 0 reports it, and the others wait for it to end
// the job. A rank reports what it meets alone.
int report(const std::exception& error, int exit_code, const sharding::MpiSession& mpi) {
  if (mpi.rank() != 0) std::this_thread::sleep_for(std::chrono::seconds(2));
  if (mpi.rank() == 0) {
    std::fprintf(stderr, "error: %s\n", error.what());
  } else {
    std::fprintf(stderr, "error: rank %d: %s\n", mpi.rank(), error.what());
  }
  if (mpi.size() > 1) mpi.end_job(exit_code);
  return exit_code;
}

}  // namespace
}  // namespace anchorage::launch

int main(int argc, char** argv) {
  using namespace anchorage;
  launch::ask_for_repeatable_arithmetic();
  launch::keep_freed_memory();
  sharding::MpiSession mpi(argc, argv);
  // Catches everything, because an error of one rank must end the job of all: the others would wait for it.
  try {
    return launch::run(argc, argv, mpi);
  } catch (const io::UserError& error) {
    return launch::report(error, launch::bad_input, mpi);
  } catch (const std::exception& error) {
    return launch::report(error, launch::failed, mpi);
  }
}
