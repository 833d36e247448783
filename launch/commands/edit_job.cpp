#include "launch/commands/edit_job.hpp"

#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>

#include "coordinator/hosted_run.hpp"
#include "coordinator/progress.hpp"
#include "io/date.hpp"
#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/host_name.hpp"
#include "io/log.hpp"
#include "io/text/text_of.hpp"
#include "io/trace/chrome_trace.hpp"
#include "launch/commands/edit_contexts.hpp"
#include "launch/commands/edit_plan.hpp"
#include "launch/commands/null_spaces.hpp"
#include "launch/commands/protection.hpp"
#include "launch/commands/run_facts.hpp"
#include "launch/commands/run_service.hpp"
#include "launch/commands/stage_choice.hpp"
#include "launch/program/activity_report.hpp"
#include "launch/program/canaries.hpp"
#include "launch/program/chat_template.hpp"
#include "launch/program/comma_list.hpp"
#include "launch/program/command_line.hpp"
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

struct LoggedWarnings final : coordinator::Observer {
  void warned(const std::string& of) override { spdlog::warn("{}", of); }
};

// Gathers on rank 0 what each rank is and holds (docs/service.md, "The run"). Collective.
nlohmann::ordered_json described_ranks(const worker::Transformer& model, Session& session) {
  const sharding::StageLayers layers = session.stages().own_layers(model.config.layers);
  const sharding::Place place = session.place();
  auto bounds = nlohmann::ordered_json::array();  // first and last layer of each range
  for (const sharding::Range& range : layers.ranges()) {
    bounds.push_back(range.begin);
    bounds.push_back(range.end - 1);
  }
  const std::string own =
      nlohmann::ordered_json{
          {"rank", session.host().rank()}, {"host", io::host_name()}, {"stage", place.stage},
          {"replica", place.replica},      {"layers", bounds},        {"weight_bytes", model.bytes()}}
          .dump();
  auto all = nlohmann::ordered_json::array();
  for (const auto& bytes : session.host().gather(std::as_bytes(std::span(own)), 0, "gather ranks"))
    all.push_back(nlohmann::ordered_json::parse(io::text_of(bytes)));
  return all;
}

void print_result(const coordinator::RunResult& result, const EditOptions& options,
                  const coordinator::RunPlan& plan, const nlohmann::ordered_json& ranks,
                  const NullSpaces& null_spaces, const std::optional<io::ProtectedKeys>& protection,
                  const nlohmann::json& traffic, const nlohmann::json& rank_seconds, Session& session) {
  const auto& seconds = result.seconds;
  if (session.json()) {
    auto layers = nlohmann::json::array();
    for (const auto& [layer, drift] : result.drift) layers.push_back({{"layer", layer}, {"drift", drift}});
    auto set_aside = nlohmann::json::array();
    for (const auto& edit : result.set_aside) set_aside.push_back({{"id", edit.edit}, {"reason", edit.reason}});
    auto weight_bytes = nlohmann::json::array();
    for (const auto& rank : ranks) weight_bytes.push_back(rank.at("weight_bytes").get<std::int64_t>());
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
  coordinator::HostedRunOptions hosted{.queue = {.batch_size = plan.record.batch_size,
                                                 .on_conflict = conflict_policy(options, method),
                                                 .strict = options.strict,
                                                 .require_approval = plan.record.require_approval},
                                       .run = {.guard = coordinator::guard_limits(plan.hparams),
                                               .checkpoint_every = options.checkpoint_every,
                                               .grace = std::chrono::duration<double>(options.grace),
                                               .waits = options.serves},
                                       .provenance = provenance_of(plan.record, session),
                                       .can_remove = method.carries_keys};
  if (options.limit > 0) hosted.queue.limit = options.limit;
  if (!plan.record.chat_template.empty()) {
    hosted.run.complete = [model = plan.record.model, role = plan.record.chat_template](io::EditsFile& file) {
      render_prompts(file, model, role);
    };
  }
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

void require_the_same_model(const EditOptions& options, const io::RunRecord& earlier) {
  if (options.model.empty() || std::filesystem::weakly_canonical(options.model) == earlier.model ||
      std::filesystem::absolute(options.model).lexically_normal() == earlier.model)
    return;
  throw io::UserError({.expected = "the model that the run began with, " + earlier.model,
                       .found = options.model,
                       .where = options.run.string(),
                       .remedy = "leave it out, or begin another run"});
}

// What a job runs, from its plan on.
struct EditJob {
  const EditOptions& options;
  const io::ModelDirectory& base;
  coordinator::RunPlan& plan;
  const worker::Method& method;
  const StageChoice& choice;
  OpenedRun opened{};                           // on rank 0
  std::optional<io::ProtectedPrompts> facts{};  // there too
};

// Whether the run was rolled back, as rank 0 knows: then the model is loaded anew. Collective where a run is
// served.
bool is_to_begin_anew(bool was_rolled_back, const EditJob& job, Session& session) {
  if (!job.options.serves) return false;
  std::vector<std::byte> bytes{static_cast<std::byte>(was_rolled_back)};
  session.host().broadcast(bytes, 0, "share whether to begin anew");
  return bytes.front() != std::byte{0};
}

// Loads the model and edits it until the run ends. Returns the exit code; nothing where the run is to begin anew.
// Collective.
std::optional<int> carried_out(EditJob& job, Session& session) {
  OpenedModel model = open_model({.base = job.base.path(), .run = std::nullopt, .batch = std::nullopt}, session);
  const auto ranks = described_ranks(model.transformer, session);
  const std::vector<std::int64_t> layers(job.plan.hparams.layers.begin(), job.plan.hparams.layers.end());
  worker::EditedWeights weights(model.transformer, model.directory, layers);
  const worker::PromptBuilder prompts(model.tokenizer, job.base.config().vocabulary);
  const auto statistics = io::StatisticsFile::load(job.plan.record.statistics);
  io::RunDirectory* const directory = job.opened.inputs ? &job.opened.inputs->directory : nullptr;
  const auto contexts = run_contexts(model, job.plan, directory, session);
  const auto protection = protected_keys(job.options, job.facts, model, prompts, job.plan, directory, session);
  worker::BatchEditor editor(model.transformer, weights, prompts, job.plan.hparams, job.method, statistics,
                             contexts, sink_limits(statistics, job.plan.hparams), session.communicators(),
                             {.capacities = job.choice.slabs}, protection, job.choice.kept_groups);
  const NullSpaces null_spaces{.free = editor.null_spaces(), .dimensions = weights.key_width()};
  const worker::LossProbe loss(model.transformer, prompts, session.communicators());
  const worker::CanaryProbe canaries(
      model.transformer, prompts,
      canaries_in(job.plan.record.canaries, job.base.path(), job.plan.record.chat_template, session.host()));
  const worker::ModelQuestions questions(model.transformer, prompts, session.communicators());
  const worker::Probes probes{.loss = loss, .canaries = canaries, .questions = questions};
  if (!session.is_root()) {
    // Launchers forward signals to all ranks. Rank 0 decides what they mean, and tells the others by a
    // command.
    for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) std::signal(signal, SIG_IGN);
    carry_out_commands(editor, probes, job.options, nullptr, session);
    if (is_to_begin_anew(false, job, session)) return std::nullopt;
    gather_traffic(session);
    gather_activities(session);
    return done;
  }

  log_null_spaces(null_spaces, job.plan.hparams);
  job.opened.inputs->begin(job.plan, editor.group_size(), recorded_contexts(contexts, model.tokenizer));
  io::write_file_atomically(directory->ranks(),
                            nlohmann::ordered_json{{"since", io::utc_now()}, {"ranks", ranks}}.dump() + "\n");
  worker::CommandQueue commands;
  coordinator::HostedRun hosted(*job.opened.inputs, base_record(job.plan, job.base, weights),
                                hosted_options(job.options, job.plan, job.method, session), commands);
  coordinator::Progress progress(hosted.context(), std::cerr, coordinator::display_for_stderr(session.is_quiet()));
  LoggedWarnings warnings;
  // A service has no end to be on the way to.
  hosted.observe(job.options.serves ? static_cast<coordinator::Observer&>(warnings) : progress);
  const Attachment attachment(job.opened.service.get());
  if (job.opened.service) {
    hosted.observe(*job.opened.service);
    job.opened.service->describe_ranks(ranks);
    job.opened.service->attach(hosted);
  }
  const coordinator::RunResult result =
      hosted.run([&] { carry_out_commands(editor, probes, job.options, &commands, session); },
                 [&](const coordinator::GraceIsOver& dropped) {
                   spdlog::warn("{}", dropped.what());
                   session.abandon_job(stopped);
                 });
  const bool was_rolled_back =
      job.opened.service && job.opened.service->roll_back(*directory, provenance_of(job.plan.record, session));
  const bool is_stopping = job.opened.service && job.opened.service->is_stopping();
  if (is_to_begin_anew(was_rolled_back && !is_stopping, job, session)) return std::nullopt;
  const auto traffic = gather_traffic(session);
  const auto activities = gather_activities(session);
  if (session.host().size() > 1) log_traffic(traffic);
  log_activities(activities.ranks);
  print_result(result, job.options, job.plan, ranks, null_spaces, protection, traffic, activities.ranks, session);
  if (!job.options.trace.empty()) io::write_trace(job.options.trace, activities.trace);
  if (result.stopped || (job.options.serves && job.opened.service->has_signal())) return stopped;
  if (job.options.serves) return done;
  return result.set_aside.empty() ? done : some_set_aside;
}

}  // namespace

int run_edits(EditOptions options, Session& session) {
  const bool traced = !options.trace.empty();
  if (traced && session.is_root()) io::require_trace_path(options.trace, "--trace");
  options.edits = parts_of(options.edits);
  std::optional<io::RunRecord> earlier;
  if (options.serves && io::RunDirectory::is_run(options.run)) options.resume = true;
  if (options.resume) {
    earlier = io::RunDirectory::view(options.run).record();
    require_the_same_model(options, *earlier);
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
  EditJob job{.options = options, .base = base, .plan = plan, .method = method, .choice = choice};
  if (session.is_root()) {
    job.facts = facts_to_protect(options, plan.record);
    job.opened = open_run(options, plan, method);
  }
  try {
    for (;;) {
      if (const auto exit_code = carried_out(job, session)) return *exit_code;
    }
  } catch (const std::exception& error) {
    if (job.opened.service) job.opened.service->end(error.what());
    throw;
  }
}

}  // namespace anchorage::launch
