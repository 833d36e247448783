// `anchorage edit`: writes edits into a model, batch by batch, into a run directory. Prints what was committed, one
// JSON document with --json; exit codes 0, 2 and 1 as everywhere, 3 where edits were set aside, 75 where a signal
// stopped it after a commit.
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "coordinator/hosted_run.hpp"
#include "coordinator/progress.hpp"
#include "io/error.hpp"
#include "io/log.hpp"
#include "io/trace/chrome_trace.hpp"
#include "launch/commands/edit_contexts.hpp"
#include "launch/commands/edit_plan.hpp"
#include "launch/commands/null_spaces.hpp"
#include "launch/commands/protection.hpp"
#include "launch/commands/stage_choice.hpp"
#include "launch/program/activity_report.hpp"
#include "launch/program/canaries.hpp"
#include "launch/program/chat_template.hpp"
#include "launch/program/comma_list.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/number_checks.hpp"
#include "launch/program/opened_model.hpp"
#include "launch/program/traffic_report.hpp"
#include "worker/editing/batch_editor.hpp"
#include "worker/evaluation/loss_probe.hpp"
#include "worker/model/tensor_names.hpp"
#include "worker/runtime.hpp"

namespace anchorage::launch {
namespace {

io::BaseRecord base_record(const coordinator::RunPlan& plan, const io::ModelDirectory& directory,
                           const worker::EditedWeights& weights) {
  io::BaseRecord base{.model = plan.record.fingerprints.at("model"),
                      .tokenizer = plan.record.fingerprints.at("tokenizer"),
                      .statistics = plan.record.fingerprints.at("statistics"),
                      .hparams = plan.record.hparams,
                      .layers = {}};
  for (const std::int64_t layer : weights.layers()) {
    const auto weight = weights.base(layer);
    base.layers.push_back({.layer = layer,
                           .weight = worker::down_projection_name(directory, layer),
                           .rows = weight.size(0),
                           .columns = weight.size(1),
                           .norm = weight.to(torch::kDouble).norm().item<double>()});
  }
  return base;
}

// Gathers on rank 0 the bytes of the weights that each rank holds. Collective.
std::vector<std::int64_t> weight_bytes_by_rank(const worker::Transformer& model,
                                               sharding::HostCommunicator& ranks) {
  const std::int64_t own = model.bytes();
  std::vector<std::int64_t> all;
  for (const auto& bytes : ranks.gather(std::as_bytes(std::span(&own, 1)), 0, "gather sizes")) {
    std::memcpy(&all.emplace_back(), bytes.data(), sizeof(own));
  }
  return all;
}

void print_result(const coordinator::RunResult& result, const EditOptions& options,
                  const coordinator::RunPlan& plan, const std::vector<std::int64_t>& weight_bytes,
                  const NullSpaces& null_spaces, const std::optional<io::ProtectedKeys>& protection,
                  const nlohmann::json& traffic, const nlohmann::json& rank_seconds, Session& session) {
  const auto& seconds = result.seconds;
  if (session.json()) {
    auto layers = nlohmann::json::array();
    for (const auto& [layer, drift] : result.drift) layers.push_back({{"layer", layer}, {"drift", drift}});
    auto set_aside = nlohmann::json::array();
    for (const auto& edit : result.set_aside) set_aside.push_back({{"id", edit.edit}, {"reason", edit.reason}});
    const nlohmann::json protected_facts{{"prompts", protection ? protection->prompts() : 0},
                                         {"keys", protection ? protection->count() : 0}};
    session.print(
        nlohmann::json{{"run", options.run.string()},
                       {"method", plan.record.method},
                       {"ranks", session.host().size()},
                       {"stages", session.stages().count()},
                       {"replicas", session.communicators().size()},
                       {"weight_bytes", weight_bytes},
                       {"batches", result.batches},
                       {"edits", {{"committed", result.committed}, {"set_aside", std::ssize(result.set_aside)}}},
                       {"set_aside", set_aside},
                       {"stopped", result.stopped},
                       {"layers", layers},
                       {"null_spaces", document_of(null_spaces)},
                       {"protected", protected_facts},
                       {"seconds",
                        {{"total", seconds.total},
                         {"values", seconds.activities.values},
                         {"solve", seconds.activities.solve},
                         {"communicate", seconds.activities.communicate},
                         {"evaluate", seconds.activities.evaluate}}},
                       {"rank_seconds", rank_seconds},
                       {"traffic", traffic}});
    return;
  }
  std::string text =
      fmt::format("{}: {} edits committed in {} batches, {} set aside, {:.1f} s", options.run.string(),
                  result.committed, result.batches, result.set_aside.size(), seconds.total);
  if (result.committed > 0)
    text += fmt::format(" ({:.2f} s per edit)", seconds.total / static_cast<double>(result.committed));
  text += '\n';
  for (const auto& edit : result.set_aside) text += fmt::format("  set aside: {}: {}\n", edit.edit, edit.reason);
  for (const auto& [layer, drift] : result.drift)
    text += fmt::format("  layer {}: drift {:.4f} of the base weight's norm\n", layer, drift);
  if (protection)
    text += fmt::format("  {} prompts protected, by {} keys in each layer\n", protection->prompts(),
                        protection->count());
  if (result.stopped)
    text +=
        fmt::format("stopped by a signal; 'anchorage edit --run {} --resume' continues it\n", options.run.string());
  session.print(text);
}

// Refuses a run: its edits are not in its base, so editing the base would lose them silently.
std::filesystem::path base_to_edit(const std::string& model) {
  const ModelArgument argument = parse_model_argument(model);
  if (!argument.run) return argument.base;
  throw io::UserError({.expected = "a model",
                       .found = "a run",
                       .where = model,
                       .remedy = "resume the run with --resume --edits, or edit what 'anchorage export' makes of "
                                 "it"});
}

coordinator::HostedRunOptions hosted_options(const EditOptions& options, const coordinator::RunPlan& plan,
                                             const worker::Method& method, Session& session) {
  coordinator::HostedRunOptions hosted{
      .queue = {.batch_size = plan.record.batch_size,
                .on_conflict = coordinator::conflict_policy_named(options.on_conflict),
                .strict = options.strict,
                .require_approval = plan.record.require_approval},
      .run = {.guard = coordinator::guard_limits(plan.hparams),
              .checkpoint_every = options.checkpoint_every,
              .grace = std::chrono::duration<double>(options.grace)},
      .provenance = {.version = ANCHORAGE_VERSION, .world = session.host().size(), .seed = plan.record.seed},
      .can_remove = method.carries_keys};
  if (options.limit > 0) hosted.queue.limit = options.limit;
  return hosted;
}

// Executes commands until the coordinator's last one, on rank 0 from `commands`, and counts what the rank does
// meanwhile. Collective.
void carry_out_commands(worker::BatchEditor& editor, const worker::Probes& probes, const EditOptions& options,
                        worker::CommandQueue* commands, Session& session) {
  start_activities(session, !options.trace.empty(), options.count_kernels);
  worker::run_command_loop(editor, probes, session.host(), commands);
  session.activities().stop();
}

int run_edit(EditOptions options, Session& session) {
  const bool traced = !options.trace.empty();
  if (traced && session.is_root()) io::require_trace_path(options.trace, "--trace");
  options.edits = parts_of(options.edits);
  std::optional<io::RunRecord> earlier;
  if (options.resume) {
    earlier = io::RunDirectory::view(options.run).record();
    options.model = earlier->model;
    session.continue_as(*earlier);
  }
  const auto base = io::ModelDirectory::open(base_to_edit(options.model));
  coordinator::RunPlan plan =
      earlier ? plan_resume(options, *earlier, base, session) : plan_edit(options, base, session);
  const worker::Method method = worker::method_named(plan.record.method);
  const StageChoice choice =
      choose_stages(workload_of(base.config(), plan.hparams, method, plan.record.batch_size, session), session);
  session.arrange(choice.stages);
  std::optional<coordinator::RunInputs> inputs;
  std::optional<io::ProtectedPrompts> facts;
  if (session.is_root()) {
    facts = facts_to_protect(options, plan.record);
    inputs = coordinator::RunInputs::open(options.run, options.resume, read_all_edits(plan.record, options.strict));
  }

  OpenedModel model = open_model({.base = base.path(), .run = std::nullopt, .batch = std::nullopt}, session);
  const auto weight_bytes = weight_bytes_by_rank(model.transformer, session.host());
  const std::vector<std::int64_t> layers(plan.hparams.layers.begin(), plan.hparams.layers.end());
  worker::EditedWeights weights(model.transformer, model.directory, layers);
  const worker::PromptBuilder prompts(model.tokenizer, base.config().vocabulary);
  const auto statistics = io::StatisticsFile::load(plan.record.statistics);
  const auto contexts = run_contexts(model, plan, inputs ? &inputs->directory : nullptr, session);
  const auto protection =
      protected_keys(options, facts, model, prompts, plan, inputs ? &inputs->directory : nullptr, session);
  worker::BatchEditor editor(model.transformer, weights, prompts, plan.hparams, method, statistics, contexts,
                             sink_limits(statistics, plan.hparams), session.communicators(),
                             {.capacities = choice.slabs}, protection, choice.kept_groups);
  const NullSpaces null_spaces{.free = editor.null_spaces(), .dimensions = weights.key_width()};
  const worker::LossProbe loss(model.transformer, prompts, session.communicators());
  const worker::CanaryProbe canaries(
      model.transformer, prompts,
      canaries_in(plan.record.canaries, base.path(), plan.record.chat_template, session.host()));
  const worker::Probes probes{.loss = loss, .canaries = canaries};
  if (!session.is_root()) {
    // Launchers forward signals to all ranks. Rank 0 decides what they mean, and tells the others by a
    // command.
    for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) std::signal(signal, SIG_IGN);
    carry_out_commands(editor, probes, options, nullptr, session);
    gather_traffic(session);
    gather_activities(session);
    return done;
  }

  log_null_spaces(null_spaces, plan.hparams);
  inputs->begin(plan, editor.group_size(), recorded_contexts(contexts, model.tokenizer));
  worker::CommandQueue commands;
  coordinator::HostedRun hosted(*inputs, base_record(plan, base, weights),
                                hosted_options(options, plan, method, session), commands);
  coordinator::Progress progress(hosted.context(), std::cerr, coordinator::display_for_stderr());
  hosted.observe(progress);
  const coordinator::RunResult result =
      hosted.run([&] { carry_out_commands(editor, probes, options, &commands, session); },
                 [&](const coordinator::GraceIsOver& dropped) {
                   spdlog::warn("{}", dropped.what());
                   session.abandon_job(stopped);
                 });
  const auto traffic = gather_traffic(session);
  const auto activities = gather_activities(session);
  if (session.host().size() > 1) log_traffic(traffic);
  log_activities(activities.ranks);
  print_result(result, options, plan, weight_bytes, null_spaces, protection, traffic, activities.ranks, session);
  if (traced) io::write_trace(options.trace, activities.trace);
  if (result.stopped) return stopped;
  return result.set_aside.empty() ? done : some_set_aside;
}

}  // namespace

void add_edit_command(CommandLine& line) {
  auto options = std::make_shared<EditOptions>();
  CLI::App* command =
      line.app.add_subcommand("edit", "Write edits into a model, batch by batch, into a run directory");
  auto* model = command->add_option("model", options->model, "MODEL; needed for a new run, not with --resume");
  command->add_option("--edits", options->edits,
                      "files of edits, separated by commas, in any of the known formats; needed for a new run");
  add_format_option(*command, options->format);
  add_chat_template_option(*command, options->chat_template);
  command->add_option("--run", options->run, "the run directory: created, or with --resume continued")->required();
  add_hparams_options(*command, options->hparams, options->assignments);  // for a new run
  add_method_option(*command, options->method);
  command->add_option("--stats", options->statistics,
                      "key statistics, from 'anchorage stats'; needed for a new run");
  command->add_option(
      "--protect", options->protect,
      "a file of prompts that must keep their answers, JSON or JSON Lines: updates leave alone what the "
      "weights hold for them");
  command->add_option(
      "--canaries", options->canaries,
      "a file of prompts that must be answered so, or as the unedited model answers them: a batch that "
      "breaks one is reverted");
  command->add_option("--batch", options->batch, "edits per batch")->check(whole_number(1, most_edits));
  command->add_option("--limit", options->limit, "take only the first N edits")
      ->check(whole_number(1))
      ->default_str("all");
  command->add_option("--seed", options->seed, "seed of the context prefixes")->check(whole_number(0));
  command
      ->add_option("--on-conflict", options->on_conflict,
                   "an edit whose subject and prompt an earlier one has, with another target: supersede, refuse or "
                   "keep-both")
      ->check(CLI::IsMember({"supersede", "refuse", "keep-both"}));
  command
      ->add_option("--checkpoint-every", options->checkpoint_every,
                   "batches between two weight checkpoints, which make resuming quick; 0: none")
      ->check(whole_number(0));
  command
      ->add_option("--grace", options->grace,
                   "seconds after SIGTERM, SIGINT or SIGUSR1 in which the current batch may finish; it is dropped "
                   "if it takes longer")
      ->check(number_above_zero());
  command->add_option("--trace", options->trace,
                      "a file to write, in Chrome's trace format, of what each rank does and waits for: open it in "
                      "ui.perfetto.dev or chrome://tracing");
  command->add_flag("--count-kernels", options->count_kernels,
                    "on GPUs, count kernels and the time without one, for --json: for short runs, it takes memory");
  command->add_flag("--resume", options->resume, "continue after the last committed batch")->excludes(model);
  command->add_flag("--strict", options->strict, "a record that cannot be used is an error");
  command->add_flag(
      "--require-approval", options->require_approval,
      "set aside edits that nobody but their author has approved ('anchorage approve'); a run that began "
      "with it keeps it");
  add_session_options(*command, line.session);
  add_stages_option(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run_edit(*options, session); }; });
}

}  // namespace anchorage::launch
