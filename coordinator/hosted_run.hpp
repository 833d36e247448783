// A run as rank 0 hosts it, composed from its inputs: journal, queue, guard, observers, and the two threads that it
// takes. Whoever starts a run, a command or a service, does it through here; the computing is the caller's.
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
#include "io/run/run_directory.hpp"
#include "sharding/protocol/command.hpp"

namespace anchorage::coordinator {

// What a run is made of.
struct RunPlan {
  io::RunRecord record;
  io::Hparams hparams;  // resolved for the model
};

// What rank 0 brings to a run: its directory, which is locked, and the edits.
struct RunInputs {
  io::RunDirectory directory;
  io::EditsFile edits;

  // Makes the run's directory, or opens that of a run to resume. Throws io::UserError as RunDirectory does. The
  // edits come first: where they cannot be used, no directory is made either.
  static RunInputs open(const std::filesystem::path& run, bool resume, io::EditsFile edits);

  // Writes run.yaml and the contexts, once nothing stands in the run's way any more. `group` is the size that the
  // editor chose: another version may choose another, and it decides on rounding.
  void begin(const RunPlan& plan, std::int64_t group, std::span<const io::Context> contexts);
};

// The guard as the hyper-parameters have it.
GuardLimits guard_limits(const io::Hparams& hparams);

// Logs what was found while a queue was filled.
void log_findings(const QueueFindings& findings);

struct HostedRunOptions {
  QueueOptions queue{};
  EditRunOptions run{};
  Provenance provenance{};
  bool can_remove = true;  // whether the method can take a committed edit out of the weights
};

class HostedRun {
 public:
  // Borrows the inputs and the workers. `base` describes the weights that a new run starts from.
  HostedRun(RunInputs& inputs, RunPlan plan, io::BaseRecord base, HostedRunOptions options,
            sharding::Workers& workers);

  // Before `run`; borrowed. Any number.
  void observe(Observer& observer) { observers_.add(observer); }

  boost::asio::io_context& context() { return context_; }

  // From any thread, while the run lasts: EditRun::add and EditRun::close.
  void add(io::EditsFile edits);
  void close();

  // Runs the coordinator on a thread of its own, from what the journal has of the edits to the last commit, and
  // `command_loop`, the workers' loop, on the caller's thread, which is MPI's. Opening a long journal takes its
  // time, for which the workers' loop keeps the other ranks waiting. Whichever fails, the other is told to end, and
  // the failure is thrown here. Where the grace time after a signal is over, `on_grace_over` is called on the
  // coordinator's thread; it is expected to end the process, since the workers are still computing. Throws
  // io::UserError where an edit would have to take out a committed one and the method cannot.
  RunResult run(const std::function<void()>& command_loop,
                const std::function<void(const GraceIsOver&)>& on_grace_over);

 private:
  RunResult coordinate();
  void require_possible(const QueueFindings& findings) const;

  RunInputs& inputs_;
  RunPlan plan_;
  io::BaseRecord base_;
  HostedRunOptions options_;
  sharding::Workers& workers_;
  Observers observers_;
  boost::asio::io_context context_;
  EditRun* run_ = nullptr;  // for what the context's thread does
};

}  // namespace anchorage::coordinator
