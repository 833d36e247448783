// Composes a run on rank 0 from its inputs: journal, queue, guard, observers, and its two threads. Commands
// and services start runs through this class; the caller provides the workers that compute.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>

#include "coordinator/edit_run.hpp"
#include "coordinator/guard.hpp"
#include "coordinator/observer.hpp"
#include "coordinator/queue.hpp"
#include "io/edits/reader.hpp"
#include "io/hparams/hparams.hpp"
#include "io/run/journal/journal.hpp"
#include "io/run/run_directory.hpp"
#include "sharding/protocol/command.hpp"

namespace anchorage::coordinator {

// What a run is composed of.
struct RunPlan {
  io::RunRecord record;
  io::Hparams hparams;  // resolved for the model
};

// Rank 0's inputs of a run: its directory, which is locked, and the edits.
struct RunInputs {
  io::RunDirectory directory;
  io::EditsFile edits;

  // Creates the run's directory, or opens that of a run to resume. Throws io::UserError as RunDirectory does.
  // The caller has read the edits before, so edits that cannot be used leave no directory.
  static RunInputs open(const std::filesystem::path& run, bool resume, io::EditsFile edits);

  // Writes run.yaml and the contexts, once nothing else can prevent the run. `group` is the size that the
  // editor chose; it is recorded because it affects rounding and another version may choose another size.
  void begin(const RunPlan& plan, std::int64_t group, std::span<const io::Context> contexts);
};

// Returns the guard's limits from the hyper-parameters.
GuardLimits guard_limits(const io::Hparams& hparams);

struct HostedRunOptions {
  QueueOptions queue{};
  EditRunOptions run{};
  Provenance provenance{};
  bool can_remove = true;  // whether the method can take a committed edit out of the weights
};

class HostedRun {
 public:
  // Borrows the inputs, of a run that has begun, and the workers. `base` describes the weights that a new run
  // starts from.
  HostedRun(RunInputs& inputs, io::BaseRecord base, HostedRunOptions options, sharding::Workers& workers);

  // Adds an observer, any number of them, before `run`; borrowed.
  void observe(Observer& observer) { observers_.add(observer); }

  boost::asio::io_context& context() { return context_; }

  // Call EditRun's functions of these names from any thread, while the run lasts; what is asked for after it has
  // ended is dropped.
  void add(io::EditsFile edits);
  void close();
  void remove(std::vector<std::string> ids);
  void save();
  void ask_between(sharding::Command command, std::function<void(sharding::Reply)> then);

  // Runs the coordinator on its own thread, from opening the journal to the last commit, and `command_loop`,
  // the workers' loop, on the caller's thread, which is MPI's. Opening a long journal takes time; meanwhile
  // the workers' loop keeps the other ranks waiting. Whichever fails, the other is told to end, and `run`
  // throws the failure. Where the grace time after a signal is over, calls `on_grace_over` on the
  // coordinator's thread; it must end the process, since the workers are still computing. Throws
  // io::UserError where an edit supersedes a committed one and the method cannot remove that.
  RunResult run(const std::function<void()>& command_loop,
                const std::function<void(const GraceIsOver&)>& on_grace_over);

 private:
  RunResult coordinate();
  io::Journal opened_journal();
  void require_possible(const QueueFindings& findings) const;

  RunInputs& inputs_;
  io::BaseRecord base_;
  HostedRunOptions options_;
  sharding::Workers& workers_;
  Observers observers_;
  boost::asio::io_context context_;
  EditRun* run_ = nullptr;  // set while the run lasts, for the context's thread
};

}  // namespace anchorage::coordinator
