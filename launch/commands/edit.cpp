#include <fmt/format.h>
#include <boost/asio/io_context.hpp>

#include <csignal>
#include <cstring>
#include <exception>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "coordinator/edit_run.hpp"
#include "coordinator/progress.hpp"
#include "io/error.hpp"
#include "launch/commands/edit_setup.hpp"
#include "launch/commands/null_spaces.hpp"
#include "launch/commands/stage_choice.hpp"
#include "launch/program/chat_template.hpp"
#include "launch/program/comma_list.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/format_option.hpp"
#include "launch/program/number_checks.hpp"
#include "launch/program/traffic_report.hpp"
#include "worker/model/load.hpp"
#include "worker/runtime.hpp"

namespace anchorage::launch {
namespace {

io::BaseRecord base_record(const EditPlan& plan, const io::ModelDirectory& directory,
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

// Rank 0's part of a run: its directory and the edits.
struct Desk {
  io::RunDirectory directory;
  io::EditsFile edits;

  static Desk open(const EditOptions& options, const EditPlan& plan) {
    // The edits first: where they cannot be used, no directory is made either.
    io::EditsFile edits = read_all_edits(plan.record, options.strict);
    for (const io::Remark& remark : edits.remarks) spdlog::warn("{}: {}", remark.where, remark.text);
    return {
        .directory = options.resume ? io::RunDirectory::resume(options.run) : io::RunDirectory::create(options.run),
        .edits = std::move(edits)};
  }

  // Nothing is_live in the run's way any more. `group` is what the editor chose: another version may choose
  // another, and the size decides on rounding.
  void begin(const EditPlan& plan, std::int64_t group, const worker::Contexts& contexts,
             const io::Tokenizer& tokenizer) {
    io::RunRecord record = plan.record;
    record.group = group;
    directory.write_record(record);
    keep_contexts(contexts, tokenizer, directory);
  }
};

void log_findings(const coordinator::QueueFindings& findings) {
  for (const coordinator::Conflict& conflict : findings.conflicts) spdlog::warn("{}", conflict.text());
  for (const coordinator::SetAside& edit : findings.set_aside)
    spdlog::warn("{} is set aside: {}", edit.edit, edit.reason);
  if (findings.already_committed > 0) spdlog::info("{} edits are committed already", findings.already_committed);
  for (const coordinator::RecordedEdit& edit : findings.removed) {
    spdlog::info("edit {} was removed in segment {} and is not written again; 'anchorage rollback' restores it",
                 edit.edit.id, *edit.removed_in);
  }
  if (findings.repeated > 0) spdlog::info("{} edits stand in the file more than once", findings.repeated);
}

coordinator::GuardLimits guard_limits(const io::Hparams& hparams) {
  return {.on = hparams.guard,
          .success = hparams.guard_success,
          .loss_rise = hparams.guard_loss_rise,
          .drift = hparams.guard_drift};
}

// Superseding takes a committed edit out, which not every method allows.
void require_possible(const coordinator::QueueFindings& findings, const EditPlan& plan) {
  if (worker::method_named(plan.record.method).carries_keys) return;
  for (const coordinator::Conflict& conflict : findings.conflicts) {
    if (!conflict.committed_in || conflict.policy != coordinator::OnConflict::supersede) continue;
    throw io::UserError({.expected = "edits that contradict no committed one, with method " + plan.record.method,
                         .found = conflict.text(),
                         .where = "--on-conflict supersede",
                         .remedy = "this method cannot take an edit out again: choose refuse or keep-both"});
  }
}

// All of a run but the computing: from what the journal has of the edits to the last commit. Opening a long journal
// takes its time, for which the workers' loop keeps the other ranks waiting.
coordinator::RunResult coordinate(Desk& desk, const EditPlan& plan, const EditOptions& options,
                                  const io::BaseRecord& base, int world, boost::asio::io_context& context,
                                  sharding::Workers& workers) {
  const coordinator::Provenance provenance{.version = ANCHORAGE_VERSION, .world = world, .seed = plan.record.seed};
  auto journal = io::Journal::open(desk.directory.journal(), io::JournalAccess::append);
  if (journal.empty()) journal.append(coordinator::base_segment(base, provenance));
  coordinator::QueueOptions wanted{.batch_size = plan.record.batch_size,
                                   .on_conflict = coordinator::conflict_policy_named(options.on_conflict),
                                   .strict = options.strict};
  if (options.limit > 0) wanted.limit = options.limit;
  coordinator::Queue queue(desk.edits, coordinator::recorded_edits(journal), wanted);
  log_findings(queue.findings());
  require_possible(queue.findings(), plan);
  coordinator::Progress progress(context, std::cerr, coordinator::display_for_stderr());
  coordinator::EditRun run(context, workers, desk.directory, journal, std::move(queue), provenance, progress,
                           {.guard = guard_limits(plan.hparams),
                            .checkpoint_every = options.checkpoint_every,
                            .grace = std::chrono::duration<double>(options.grace)});
  run.start();
  context.run();
  return run.result();
}

// The coordinator runs on a thread of its own, the workers' loop on this one, which is MPI's. Whichever fails, the
// other is told to end, and the failure is thrown here.
coordinator::RunResult run_both(
    const std::function<coordinator::RunResult(boost::asio::io_context&, sharding::Workers&)>& coordinate,
    worker::BatchEditor& editor, const worker::LossProbe& probe, Session& session) {
  boost::asio::io_context context;
  worker::CommandQueue commands;
  coordinator::RunResult result;
  std::exception_ptr coordinator_failure;
  {
    std::jthread thread([&] {
      try {
        result = coordinate(context, commands);
      } catch (const coordinator::GraceIsOver& dropped) {
        spdlog::warn("{}", dropped.what());
        session.abandon_job(stopped);
      } catch (...) {
        coordinator_failure = std::current_exception();
        commands.submit(sharding::Stop{}, [](const sharding::Reply&) {});
      }
    });
    try {
      worker::run_command_loop(editor, probe, session.host(), &commands);
    } catch (...) {
      context.stop();
      throw;
    }
  }
  if (coordinator_failure) std::rethrow_exception(coordinator_failure);
  return result;
}

// Bytes of the weights that each rank holds, on rank 0. Collective.
std::vector<std::int64_t> weight_bytes_by_rank(const worker::Transformer& model,
                                               sharding::HostCommunicator& ranks) {
  const std::int64_t own = model.bytes();
  std::vector<std::int64_t> all;
  for (const auto& bytes : ranks.gather(std::as_bytes(std::span(&own, 1)), 0, "gather sizes")) {
    std::memcpy(&all.emplace_back(), bytes.data(), sizeof(own));
  }
  return all;
}

void print_result(const coordinator::RunResult& result, const EditOptions& options, const EditPlan& plan,
                  const std::vector<std::int64_t>& weight_bytes, const NullSpaces& null_spaces,
                  const nlohmann::json& traffic, Session& session) {
  const auto& seconds = result.seconds;
  if (session.json()) {
    auto layers = nlohmann::json::array();
    for (const auto& [layer, drift] : result.drift) layers.push_back({{"layer", layer}, {"drift", drift}});
    auto set_aside = nlohmann::json::array();
    for (const auto& edit : result.set_aside) set_aside.push_back({{"id", edit.edit}, {"reason", edit.reason}});
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
                       {"seconds",
                        {{"total", seconds.total},
                         {"values", seconds.activities.values},
                         {"solve", seconds.activities.solve},
                         {"communicate", seconds.activities.communicate},
                         {"evaluate", seconds.activities.evaluate}}},
                       {"traffic", traffic}});
    return;
  }
  std::string text =
      fmt::format("{}: {} edits committed in {} batches, {} set aside, {:.1f} s", options.run.string(),
                  result.committed, result.batches, result.set_aside.size(), seconds.total);
  if (result.committed > 0)
    text += fmt::format(" ({:.2f} s an edit)", seconds.total / static_cast<double>(result.committed));
  text += "\n";
  for (const auto& edit : result.set_aside) text += fmt::format("  set aside: {}: {}\n", edit.edit, edit.reason);
  for (const auto& [layer, drift] : result.drift)
    text += fmt::format("  layer {}: drift {:.4f} of the base weight's norm\n", layer, drift);
  if (result.stopped)
    text +=
        fmt::format("stopped by a signal; 'anchorage edit --run {} --resume' continues it\n", options.run.string());
  session.print(text);
}

// A run's edits are not in its base: to edit on without them would lose them silently.
std::filesystem::path base_to_edit(const std::string& model) {
  const ModelArgument argument = parse_model_argument(model);
  if (!argument.run) return argument.base;
  throw io::UserError({.expected = "a model",
                       .found = "a run",
                       .where = model,
                       .remedy = "resume the run with --resume --edits, or edit what 'anchorage export' makes of "
                                 "it"});
}

int run(EditOptions options, Session& session) {
  options.edits = parts_of(options.edits);
  std::optional<io::RunRecord> earlier;
  if (options.resume) {
    earlier = io::RunDirectory::view(options.run).record();
    options.model = earlier->model;
    session.go_on_as(*earlier);
  }
  const auto base = io::ModelDirectory::open(base_to_edit(options.model));
  const EditPlan plan = earlier ? plan_resume(options, *earlier, base, session) : plan_edit(options, base, session);
  const worker::Method method = worker::method_named(plan.record.method);
  session.arrange(
      choose_stages(workload_of(base.config(), plan.hparams, method, plan.record.batch_size, session), session));
  std::optional<Desk> desk;
  if (session.is_root()) desk = Desk::open(options, plan);

  OpenedModel model = open_model({.base = base.path(), .run = std::nullopt, .batch = std::nullopt}, session);
  const auto weight_bytes = weight_bytes_by_rank(model.transformer, session.host());
  const std::vector<std::int64_t> layers(plan.hparams.layers.begin(), plan.hparams.layers.end());
  worker::EditedWeights weights(model.transformer, model.directory, layers);
  const worker::PromptBuilder prompts(model.tokenizer, base.config().vocabulary);
  const auto statistics = io::StatisticsFile::load(plan.record.statistics);
  const auto contexts = run_contexts(model, plan, desk ? &desk->directory : nullptr, session);
  worker::BatchEditor editor(model.transformer, weights, prompts, plan.hparams, method, statistics, contexts,
                             sink_limits(statistics, plan.hparams), session.communicators());
  session.host().barrier("wait for the least squares of all layers", sharding::Timeout::steps(std::ssize(layers)));
  const NullSpaces null_spaces{.free = editor.null_spaces(), .dimensions = weights.key_width()};
  const worker::LossProbe probe(model.transformer, prompts, session.communicators());
  if (!session.is_root()) {
    // Launchers pass signals on to all ranks. Rank 0 decides what they mean, and says the others by a command.
    for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) std::signal(signal, SIG_IGN);
    worker::run_command_loop(editor, probe, session.host(), nullptr);
    gather_traffic(session);
    return done;
  }

  log_null_spaces(null_spaces, plan.hparams);
  desk->begin(plan, editor.group_size(), contexts, model.tokenizer);
  const io::BaseRecord begun_from = base_record(plan, base, weights);
  const int world = session.host().size();
  const auto coordinate_run = [&](boost::asio::io_context& context, sharding::Workers& workers) {
    return coordinate(*desk, plan, options, begun_from, world, context, workers);
  };
  const coordinator::RunResult result = run_both(coordinate_run, editor, probe, session);
  const auto traffic = gather_traffic(session);
  if (session.host().size() > 1) log_traffic(traffic);
  print_result(result, options, plan, weight_bytes, null_spaces, traffic, session);
  if (result.stopped) return stopped;
  return result.set_aside.empty() ? done : some_set_aside;
}

}  // namespace

void add_edit_command(CommandLine& line) {
  auto options = std::make_shared<EditOptions>();
  CLI::App* command =
      line.app.add_subcommand("edit", "Write edits into a model, batch by batch, into a run directory");
  auto* model = command->add_option("model", options->model, "MODEL; not with --resume");
  command->add_option("--edits", options->edits,
                      "files of edits, separated by commas, in any of the known formats");
  add_format_option(*command, options->format);
  add_chat_template_option(*command, options->chat_template);
  command->add_option("--run", options->run, "the run directory: created, or with --resume continued")->required();
  command->add_option("--hparams", options->hparams, "hyper-parameters, YAML or JSON");
  command->add_option("--set", options->assignments,
                      "key=value: changes a hyper-parameter; may be given several times");
  command->add_option("--method", options->method, "b-eac, memit, memit_seq, eac or alphaedit");
  command->add_option("--stats", options->statistics, "key statistics, from 'anchorage stats'");
  command->add_option("--batch", options->batch, "edits per batch")->check(whole_number(1, most_edits));
  command->add_option("--limit", options->limit, "of the edits, the first N")->check(whole_number(1));
  command->add_option("--seed", options->seed, "of the context prefixes")->check(whole_number(0));
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
                   "if it takes "
                   "longer")
      ->check(number_above_zero());
  command->add_flag("--resume", options->resume, "continue after the last committed batch")->excludes(model);
  command->add_flag("--strict", options->strict, "a record that cannot be used is an error");
  add_session_options(*command, line.session);
  add_stages_option(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run(*options, session); }; });
}

}  // namespace anchorage::launch
