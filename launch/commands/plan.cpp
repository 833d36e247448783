// `anchorage plan`: says which rank would hold what, its memory and the time of a batch, from config.json alone;
// with --sweep that of many machines, with --hours the smallest that does a night's work. Prints a table, one JSON
// document with --json. Exit codes: 0; 2 for bad input or where nothing fits; 1 for any other failure.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "coordinator/plan_sweep.hpp"
#include "coordinator/planner.hpp"
#include "io/error.hpp"
#include "launch/commands/plan_report.hpp"
#include "launch/commands/requested_hparams.hpp"
#include "launch/commands/stage_choice.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/model_findings.hpp"
#include "launch/program/number_checks.hpp"
#include "worker/editing/method.hpp"
#include "worker/model/block_speed.hpp"

namespace anchorage::launch {
namespace {

struct PlanOptions {
  std::filesystem::path model;
  std::string hparams;
  std::vector<std::string> assignments;
  std::string method = "b-eac";
  int ranks = 0, stages = 0;  // 0: not given
  std::vector<int> sweep;
  std::vector<std::int64_t> batches;
  std::optional<double> memory, teraflops, hours;
  std::int64_t edits = 0;
  std::filesystem::path trace;
  bool cpu = false, measure = false;
};

constexpr std::int64_t default_batch = 32;

// Reads only config.json, in a directory or by its own path: the weights need not be here.
io::ModelConfig read_config(const std::filesystem::path& model) {
  const auto path = std::filesystem::is_directory(model) ? model / "config.json" : model;
  if (!std::filesystem::exists(path)) {
    throw io::UserError({.expected = "a model's config.json, or the directory that has it",
                         .found = "none",
                         .where = model.string(),
                         .remedy = "weights are not needed: the model's page has the file"});
  }
  io::ModelConfig config = io::read_model_config(path);
  warn_of_unknown_keys(config, path);
  return config;
}

// Measures blocks in passes of the size of a step, of smaller ones and, as long as these are quick, of larger ones:
// groups of other sizes are planned too, and passes of other lengths are part of a batch.
void measure_speeds(coordinator::PlanRequest& request, const Session& session) {
  constexpr double quick = 0.5;  // seconds of what is measured, forward and backward
  const io::ModelConfig& model = request.workload.model;
  const std::int64_t steps = coordinator::group_tokens(request.workload, request.machine).steps;
  std::set<std::int64_t> sizes{steps};
  for (std::int64_t tokens = 16; tokens <= 4096; tokens *= 4) sizes.insert(tokens);
  auto& measured = request.machine.flops_by_tokens;
  const double entries =
      std::max(static_cast<double>(coordinator::layer_parameters(model)),
               static_cast<double>(worker::measured_bytes) / static_cast<double>(request.workload.weight_bytes));
  for (const std::int64_t tokens : sizes) {
    if (tokens > steps && 4 * static_cast<double>(tokens) * entries / measured.rbegin()->second > quick) break;
    measured[tokens] = worker::measured_block_flops(model, tokens, loaded_dtype(model, session.dtype()));
  }
  request.machine.double_flops = worker::measured_double_flops(model, request.workload.batch);
}

coordinator::PlanRequest request_of(const PlanOptions& options, const Session& session) {
  const io::ModelConfig model = read_config(options.model);
  const worker::Method method = worker::method_named(options.method);
  const io::Hparams hparams = requested_hparams(options.hparams, options.assignments, method, model, session);
  coordinator::PlanRequest request{
      .workload = workload_of(model, hparams, method,
                              options.batches.empty() ? default_batch : options.batches.front(), session),
      .machine = options.cpu ? coordinator::Machine::cpu(session.threads()) : coordinator::Machine::gpu(),
      .ranks = std::max(1, options.ranks),
      .stages = options.stages};
  if (options.memory) request.machine.memory_bytes = 1e9 * *options.memory;
  if (options.measure) measure_speeds(request, session);
  if (options.teraflops) {
    request.machine.flops = 1e12 * *options.teraflops;
    request.machine.flops_by_tokens.clear();
  }
  return request;
}

const char* speed_of(const PlanOptions& options) {
  return options.teraflops ? "as given"
         : options.measure ? "as measured now"
         : options.cpu     ? "as of an AMD EPYC"
                           : "assumed";
}

// One of several things is planned: so many ranks, a table of them, or a night.
void check_request(const PlanOptions& options) {
  const int asked = (options.ranks > 0 ? 1 : 0) + (options.sweep.empty() ? 0 : 1) + (options.hours ? 1 : 0);
  if (asked != 1) {
    throw io::UserError({.expected = "one of --ranks, --sweep, and --hours with --edits",
                         .found = asked == 0 ? "none" : "several",
                         .where = "the command line",
                         .remedy = ""});
  }
  if (options.ranks > 0 && options.batches.size() > 1) {
    throw io::UserError({.expected = "one size of a batch with --ranks",
                         .found = std::to_string(options.batches.size()),
                         .where = "--batch",
                         .remedy = "--sweep takes several"});
  }
}

void print_night(const coordinator::PlanRequest& request, const PlanOptions& options, Session& session) {
  const coordinator::Night night{.hours = *options.hours, .edits = options.edits};
  const auto machine = coordinator::smallest_machine(request, night, options.batches);
  if (!machine) {
    throw io::UserError({.expected = fmt::format("at most {} ranks for {} edits in {:g} hours",
                                                 coordinator::most_night_ranks, night.edits, night.hours),
                         .found = "more, or no number on which the model fits",
                         .where = "--hours",
                         .remedy = "give it more hours, or ranks of more --memory"});
  }
  session.json() ? session.print(document_of(*machine, night)) : session.print(text_of(*machine, night));
}

int run_plan(const PlanOptions& options, Session& session) {
  if (!session.is_root()) return done;
  check_request(options);
  const coordinator::PlanRequest request = request_of(options, session);
  if (options.hours) {
    print_night(request, options, session);
    return done;
  }
  if (!options.sweep.empty()) {
    const auto batches = options.batches.empty() ? std::vector{default_batch} : options.batches;
    const auto rows = coordinator::sweep(request, options.sweep, batches);
    session.json() ? session.print(document_of(rows)) : session.print(text_of(rows));
    return done;
  }
  const coordinator::Plan plan = coordinator::plan_ranks(request);
  session.json() ? session.print(document_of(plan, request))
                 : session.print(text_of(plan, request, speed_of(options)));
  if (!options.trace.empty()) write_trace(options.trace, plan, request);
  return done;
}

}  // namespace

void add_plan_command(CommandLine& line) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App* command = line.app.add_subcommand(
      "plan", "Which rank would hold which layers, what it needs of memory, and the time of a batch");
  command->add_option("model", options->model, "MODEL; its config.json is enough")->required();
  add_hparams_options(*command, options->hparams, options->assignments);
  command->get_option("--hparams")->required();
  command->add_option("--ranks", options->ranks, "ranks to plan for")->check(whole_number(1, most_ranks));
  auto* sweep = command->add_option("--sweep", options->sweep,
                                    "numbers of ranks, separated by commas: a table of them and of the sizes of "
                                    "--batch");
  sweep->delimiter(',')->allow_extra_args(false)->check(whole_number(1, most_ranks));
  auto* hours = command->add_option("--hours", options->hours,
                                    "the fewest ranks that write --edits in so many hours, and the size of their "
                                    "batches");
  hours->check(number_above_zero());
  auto* edits = command->add_option("--edits", options->edits, "edits of --hours");
  edits->check(whole_number(1, most_edits))->needs(hours);
  hours->needs(edits);
  command
      ->add_option("--trace", options->trace,
                   "write the planned batch to this file in Chrome's trace format: what each rank does, and when")
      ->excludes(sweep)
      ->excludes(hours);
  command
      ->add_option("--stages", options->stages, "ranks that share a model; auto: as many as make a batch fastest")
      ->check(whole_number(1, most_ranks))
      ->default_str("auto");
  command->add_option("--memory", options->memory, "GB of a rank: 80 where not given, 8 with --cpu")
      ->check(number_above_zero());
  command->add_option("--tflops", options->teraflops, "Tflop/s that a rank sustains in matrix products")
      ->check(number_above_zero());
  auto* cpu = command->add_flag("--cpu", options->cpu, "ranks without GPUs, of --threads each");
  command
      ->add_flag(
          "--measure", options->measure,
          "for the time, find out how fast this machine is: takes seconds; a rank's cores are taken for its own")
      ->needs(cpu);
  command
      ->add_option("--batch", options->batches,
                   "edits per batch; several, separated by commas, with --sweep or --hours")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(whole_number(1, most_edits))
      ->default_str("32");
  add_method_option(*command, options->method);
  add_session_options(*command, line.session);
  command->callback([&line, options] {
    line.session.computes = options->measure;
    line.action = [options](Session& session) { return run_plan(*options, session); };
  });
}

}  // namespace anchorage::launch
