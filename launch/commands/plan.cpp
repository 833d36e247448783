// `anchorage plan`: says which rank would hold what, its memory and the time of a batch, from config.json alone.
// Prints a table, one JSON document with --json. Exit codes: 0; 2 for bad input or where nothing fits; 1 for any
// other failure.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "coordinator/planner.hpp"
#include "io/error.hpp"
#include "launch/commands/requested_hparams.hpp"
#include "launch/commands/stage_choice.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/model_findings.hpp"
#include "launch/program/number_checks.hpp"
#include "worker/editing/method.hpp"
#include "worker/model/block_speed.hpp"

namespace anchorage::launch {
namespace {

struct Options {
  std::filesystem::path model;
  std::string hparams;
  std::vector<std::string> assignments;
  std::string method = "b-eac";
  int ranks = 1, stages = 0;
  std::int64_t batch = 32;
  std::optional<double> memory, teraflops;
  bool cpu = false, measure = false;
};

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

void measure(coordinator::PlanRequest& request) {
  const coordinator::StageCosts costs(request.workload, request.machine, 1, 1);
  request.machine.flops = worker::measured_block_flops(request.workload.model, costs.step_tokens());
  request.machine.double_flops = worker::measured_double_flops(request.workload.model, request.workload.batch);
}

coordinator::PlanRequest request_of(const Options& options, const Session& session) {
  const io::ModelConfig model = read_config(options.model);
  const worker::Method method = worker::method_named(options.method);
  const io::Hparams hparams = requested_hparams(options.hparams, options.assignments, method, model, session);
  coordinator::PlanRequest request{
      .workload = workload_of(model, hparams, method, options.batch, session),
      .machine = options.cpu ? coordinator::Machine::cpu(session.threads()) : coordinator::Machine::gpu(),
      .ranks = options.ranks,
      .stages = options.stages};
  if (options.memory) request.machine.memory_bytes = 1e9 * *options.memory;
  if (options.measure) measure(request);
  if (options.teraflops) request.machine.flops = 1e12 * *options.teraflops;
  return request;
}

nlohmann::json document_of(const coordinator::RankBytes& bytes) {
  return {{"weights", bytes.weights},
          {"masters", bytes.masters},
          {"second_moments", bytes.second_moments},
          {"solving", bytes.solving},
          {"activations", bytes.activations},
          {"caches", bytes.caches},
          {"runtime", bytes.runtime},
          {"total", bytes.total()}};
}

// Counts the replicas that get no group of edits.
std::int64_t idle_replicas(const coordinator::Plan& plan, const coordinator::PlanRequest& request) {
  const std::int64_t groups = (request.workload.batch + plan.group - 1) / plan.group;
  return std::max<std::int64_t>(0, plan.topology.replicas() - groups);
}

nlohmann::json document_of(const coordinator::Plan& plan, const coordinator::PlanRequest& request) {
  auto ranks = nlohmann::json::array();
  for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    const auto& own = plan.ranks[rank];
    ranks.push_back({{"rank", rank},
                     {"stage", own.place.stage},
                     {"replica", own.place.replica},
                     {"layers", {own.layers.begin, own.layers.end - 1}},
                     {"owns", own.owns},
                     {"bytes", document_of(own.bytes)}});
  }
  return {{"stages", plan.topology.stages()},
          {"replicas", plan.topology.replicas()},
          {"ranks", ranks},
          {"batch", request.workload.batch},
          {"group", plan.group},
          {"groups_in_flight", plan.groups_in_flight},
          {"idle_replicas", idle_replicas(plan, request)},
          {"memory_bytes", request.machine.memory_bytes},
          {"flops", request.machine.flops},
          {"seconds_per_batch",
           {{"total", plan.seconds.total()},
            {"values", plan.seconds.values},
            {"solve", plan.seconds.solve},
            {"communicate", plan.seconds.communicate},
            {"evaluate", plan.seconds.evaluate}}}};
}

// `speed` says where the machine's speed is known from.
std::string text_of(const coordinator::Plan& plan, const coordinator::PlanRequest& request, const char* speed) {
  std::string text = fmt::format(
      "{} ranks: {} stages x {} replicas, {:.0f} GB each; batches of {} edits in groups of {}, {} in flight in a "
      "replica\n",
      request.ranks, plan.topology.stages(), plan.topology.replicas(), request.machine.memory_bytes / 1e9,
      request.workload.batch, plan.group, plan.groups_in_flight);
  text += fmt::format("{:>5} {:>6} {:>8} {:>9}  {:<12}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}  GB\n", "rank",
                      "stage", "replica", "layers", "owns", "weights", "masters", "moments", "solving", "activat.",
                      "caches", "runtime", "total");
  for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    const auto& own = plan.ranks[rank];
    const auto& bytes = own.bytes;
    text += fmt::format("{:>5} {:>6} {:>8} {:>9}  {:<12}", rank, own.place.stage, own.place.replica,
                        fmt::format("{}-{}", own.layers.begin, own.layers.end - 1),
                        own.owns.empty() ? "-" : fmt::format("{}", fmt::join(own.owns, ",")));
    for (const std::int64_t kind : {bytes.weights, bytes.masters, bytes.second_moments, bytes.solving,
                                    bytes.activations, bytes.caches, bytes.runtime, bytes.total()}) {
      text += fmt::format("{:>9.2f}", static_cast<double>(kind) / 1e9);
    }
    text += '\n';
  }
  if (const std::int64_t idle = idle_replicas(plan, request); idle > 0) {
    text += fmt::format(
        "{} of {} replicas get no group of edits: a smaller 'group' or a larger --batch gives them work\n", idle,
        plan.topology.replicas());
  }
  const auto& seconds = plan.seconds;
  return text + fmt::format(
                    "about {:.3g} s per batch, {:.3g} s per edit: values {:.3g}, solve {:.3g}, communicate {:.3g}, "
                    "evaluate {:.3g} (at {:.3g} Tflop/s per rank, {})\n",
                    seconds.total(), seconds.total() / static_cast<double>(request.workload.batch), seconds.values,
                    seconds.solve, seconds.communicate, seconds.evaluate, request.machine.flops / 1e12, speed);
}

int run(const Options& options, Session& session) {
  if (!session.is_root()) return done;
  const coordinator::PlanRequest request = request_of(options, session);
  const coordinator::Plan plan = coordinator::plan_ranks(request);
  const char* speed = options.teraflops ? "as given"
                      : options.measure ? "as measured now"
                      : options.cpu     ? "as of an AMD EPYC"
                                        : "assumed";
  session.json() ? session.print(document_of(plan, request)) : session.print(text_of(plan, request, speed));
  return done;
}

}  // namespace

void add_plan_command(CommandLine& line) {
  auto options = std::make_shared<Options>();
  CLI::App* command = line.app.add_subcommand(
      "plan", "Which rank would hold which layers, what it needs of memory, and the time of a batch");
  command->add_option("model", options->model, "MODEL; its config.json is enough")->required();
  add_hparams_options(*command, options->hparams, options->assignments);
  command->get_option("--hparams")->required();
  command->add_option("--ranks", options->ranks, "ranks to plan for")
      ->required()
      ->check(whole_number(1, most_ranks));
  command->add_option("--stages", options->stages, "ranks that share a model; auto: as few as fit")
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
  command->add_option("--batch", options->batch, "edits per batch")->check(whole_number(1, most_edits));
  add_method_option(*command, options->method);
  add_session_options(*command, line.session);
  command->callback([&line, options] {
    line.session.computes = options->measure;
    line.action = [options](Session& session) { return run(*options, session); };
  });
}

}  // namespace anchorage::launch
