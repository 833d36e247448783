#include "coordinator/hosted_run.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <exception>
#include <thread>
#include <utility>

#include "coordinator/recorded_edits.hpp"
#include "io/error.hpp"
#include "io/log.hpp"
#include "io/run/journal/journal.hpp"

namespace anchorage::coordinator {
namespace {

// Logs the findings of filling a queue.
void log_findings(const QueueFindings& findings) {
  for (const Conflict& conflict : findings.conflicts) spdlog::warn("{}", conflict.text());
  for (const SetAside& edit : findings.set_aside) spdlog::warn("{} is set aside: {}", edit.edit, edit.reason);
  if (findings.already_committed > 0) spdlog::info("{} edits are committed already", findings.already_committed);
  for (const RecordedEdit& edit : findings.removed) {
    spdlog::info("edit {} was removed in segment {} and is not written again; 'anchorage rollback' restores it",
                 edit.edit.id, *edit.removed_in);
  }
  if (findings.repeated > 0) spdlog::info("{} edits are in the file more than once", findings.repeated);
}

}  // namespace

RunInputs RunInputs::open(const std::filesystem::path& run, bool resume, io::EditsFile edits) {
  for (const io::Remark& remark : edits.remarks) spdlog::warn("{}: {}", remark.where, remark.text);
  return {.directory = resume ? io::RunDirectory::resume(run) : io::RunDirectory::create(run),
          .edits = std::move(edits)};
}

void RunInputs::begin(const RunPlan& plan, std::int64_t group, std::span<const io::Context> contexts) {
  io::RunRecord record = plan.record;
  record.group = group;
  directory.write_record(record);
  if (!directory.has_contexts()) directory.write_contexts({contexts.begin(), contexts.end()});
}

GuardLimits guard_limits(const io::Hparams& hparams) {
  return {.on = hparams.guard,
          .success = hparams.guard_success,
          .loss_rise = hparams.guard_loss_rise,
          .drift = hparams.guard_drift};
}

HostedRun::HostedRun(RunInputs& inputs, io::BaseRecord base, HostedRunOptions options, sharding::Workers& workers)
    : inputs_(inputs), base_(std::move(base)), options_(std::move(options)), workers_(workers) {}

void HostedRun::add(io::EditsFile edits) {
  boost::asio::post(context_, [this, edits = std::move(edits)]() mutable { run_->add(std::move(edits)); });
}

void HostedRun::close() {
  boost::asio::post(context_, [this] { run_->close(); });
}

void HostedRun::remove(std::vector<std::string> ids) {
  boost::asio::post(context_, [this, ids = std::move(ids)]() mutable { run_->remove(std::move(ids)); });
}

void HostedRun::save() {
  boost::asio::post(context_, [this] { run_->save(); });
}

void HostedRun::ask_between(sharding::Command command, std::function<void(sharding::Reply)> then) {
  boost::asio::post(context_, [this, command = std::move(command), then = std::move(then)]() mutable {
    run_->ask_between(std::move(command), std::move(then));
  });
}

// Superseding removes a committed edit from the weights.
void HostedRun::require_possible(const QueueFindings& findings) const {
  if (options_.can_remove) return;
  for (const Conflict& conflict : findings.conflicts) {
    if (!conflict.committed_in || conflict.policy != OnConflict::supersede) continue;
    const std::string& method = inputs_.directory.record().method;
    throw io::UserError({.expected = "edits that contradict no committed one, with method " + method,
                         .found = conflict.text(),
                         .where = "--on-conflict supersede",
                         .remedy = "this method cannot remove an edit again: choose refuse or keep-both"});
  }
}

// Without checkpoints the index, a cache beside them, is not used either.
io::Journal HostedRun::opened_journal() {
  constexpr auto append = io::JournalAccess::append;
  const io::RunDirectory& directory = inputs_.directory;
  if (options_.run.checkpoint_every == 0) return io::Journal::open(directory.journal(), append);
  auto journal = io::Journal::open(directory.journal(), append, directory.journal_index());
  if (const auto damaged = journal.damaged_index())
    observers_.warned(
        fmt::format("the index of the journal, {}, is not used: {}", damaged->path.string(), damaged->diagnostic));
  return journal;
}

RunResult HostedRun::coordinate() {
  auto journal = opened_journal();
  if (journal.empty()) journal.append(base_segment(base_, options_.provenance));
  Queue queue(inputs_.edits, recorded_edits(journal), options_.queue);
  log_findings(queue.findings());
  require_possible(queue.findings());
  EditRun run(context_, workers_, inputs_.directory, journal, std::move(queue), options_.provenance, observers_,
              options_.run);
  run_ = &run;
  run.start();
  context_.run();
  return run.result();
}

RunResult HostedRun::run(const std::function<void()>& command_loop,
                         const std::function<void(const GraceIsOver&)>& on_grace_over) {
  RunResult result;
  std::exception_ptr coordinator_failure;
  {
    const std::jthread thread([&] {
      try {
        result = coordinate();
      } catch (const GraceIsOver& dropped) {
        on_grace_over(dropped);
      } catch (...) {
        coordinator_failure = std::current_exception();
        workers_.submit(sharding::Stop{}, [](const sharding::Reply&) {});
      }
    });
    try {
      command_loop();
    } catch (...) {
      context_.stop();
      throw;
    }
  }
  if (coordinator_failure) std::rethrow_exception(coordinator_failure);
  return result;
}

}  // namespace anchorage::coordinator
