#include "launch/commands/run_service.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "io/log.hpp"
#include "launch/commands/run_facts.hpp"

namespace anchorage::launch {
namespace {

// `anchorage export` by this program's own file, also where that was replaced since. On the CPU, since a GPU's
// memory is the run's, and by as many threads as a rank has.
std::vector<std::string> export_command(const io::RunRecord& record, const std::filesystem::path& run,
                                        const coordinator::ExportRequest& request,
                                        const std::filesystem::path& out) {
  const std::string state = fmt::format("{}@{}", (run / "").string(), request.segment.value());
  std::vector<std::string> command{"/proc/self/exe", "export", state, "--quiet"};
  const auto add = [&](const char* option, std::string value) {
    command.emplace_back(option);
    command.push_back(std::move(value));
  };
  add("--out", out.string());
  add("--format", request.format);
  add("--device", "cpu");
  add("--threads", std::to_string(record.threads));
  add("--parent", std::to_string(::getpid()));
  if (request.rank) add("--rank", std::to_string(*request.rank));
  if (request.canaries) add("--canaries", record.canaries);
  if (request.verify) command.emplace_back("--verify");
  return command;
}

// Starts to answer for a run whose directory is open, where it is to be watched or served.
std::unique_ptr<coordinator::Service> begun_service(const EditOptions& options, const coordinator::RunPlan& plan,
                                                    const worker::Method& method,
                                                    const coordinator::RunInputs& inputs,
                                                    const std::vector<io::Edit>& edits) {
  if (options.listen.empty()) return nullptr;
  coordinator::RunFacts facts = facts_of(options.run, plan.record, plan.hparams);
  facts.linger = options.linger;
  auto service = std::make_unique<coordinator::Service>(
      inputs.directory, std::move(facts),
      coordinator::ServiceOptions{
          .listen = options.listen,
          .token_file = options.token_file,
          .takes_edits = options.serves,
          .can_remove = method.carries_keys,
          .supersedes = conflict_policy(options, method) == coordinator::OnConflict::supersede,
          .saves_checkpoints = options.checkpoint_every > 0,
          .export_command = [record = plan.record, run = options.run](
                                const auto& request,
                                const auto& out) { return export_command(record, run, request, out); }},
      edits);
  spdlog::info("listening on http://{}", service->address());
  return service;
}

}  // namespace

coordinator::OnConflict conflict_policy(const EditOptions& options, const worker::Method& method) {
  const auto policy = coordinator::conflict_policy_named(options.on_conflict);
  const bool is_possible = method.carries_keys || policy != coordinator::OnConflict::supersede;
  return options.serves && !is_possible ? coordinator::OnConflict::refuse : policy;
}

OpenedRun open_run(const EditOptions& options, const coordinator::RunPlan& plan, const worker::Method& method) {
  io::EditsFile edits = options.serves ? read_edits_of_files(plan.record, options.strict)
                                       : read_all_edits(plan.record, options.run, options.strict);
  std::vector<io::Edit> to_serve;
  if (options.serves) to_serve = std::exchange(edits.edits, {});
  if (options.serves) edits.places.clear();
  OpenedRun opened;
  opened.inputs = coordinator::RunInputs::open(options.run, options.resume, std::move(edits));
  opened.service = begun_service(options, plan, method, *opened.inputs, to_serve);
  return opened;
}

}  // namespace anchorage::launch
