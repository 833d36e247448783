// The run of one edits file, from the journal's last commit to the end of the queue, on rank 0's io_context.
//
//   the newest checkpoint, if any -> replay the segments that stand after it -> a batch -> the guard looks at it
//   -> its segment is renamed into place (the commit) -> the next batch -> Stop
//
// A batch that the guard does not accept is reverted and tried again in halves, down to single edits, which are set
// aside. So is an edit that the workers refuse where it would have taken another's place: that one stays.
//
// One command at a time is with the workers. SIGINT, SIGTERM and SIGUSR1 end the run after the current batch,
// which is finished and committed; where that takes longer than the grace time, GraceIsOver leaves
// io_context::run() while the workers are still at it.
//
// A failure between two commands (SystemError: the disk is full) leaves io_context::run() as an exception. By then
// the workers have been told to stop, and the journal ends with the last whole segment: `--resume` continues from
// there. A worker that fails sends no reply; whoever sees it calls io_context::stop().
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "coordinator/batch_report.hpp"
#include "coordinator/guard.hpp"
#include "coordinator/observer.hpp"
#include "coordinator/queue.hpp"
#include "io/run/journal/journal.hpp"
#include "io/run/run_directory.hpp"
#include "sharding/protocol/command.hpp"

namespace anchorage::coordinator {

struct EditRunOptions {
  GuardLimits guard{};
  std::int64_t checkpoint_every = 0;  // segments; 0: none is written or read
  // From a signal on; none: as long as the current batch takes.
  std::optional<std::chrono::duration<double>> grace{};
  bool waits = false;  // for more edits where the queue is empty, instead of ending
};

// The batch current was not finished in the grace time after a signal. The journal ends with the batch before it.
class GraceIsOver : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class EditRun {
 public:
  // Borrows all but the queue. `context` must outlive the workers' last reply. The journal has its base segment.
  EditRun(boost::asio::io_context& context, sharding::Workers& workers, io::RunDirectory& directory,
          io::Journal& journal, Queue queue, Provenance provenance, Observer& observer,
          EditRunOptions options = {});
  // Tells the workers to stop if that has not happened yet.
  ~EditRun();
  EditRun(const EditRun&) = delete;
  EditRun& operator=(const EditRun&) = delete;

  // The run takes place in context.run(), which returns when the workers have stopped. Replays nothing when the
  // queue is empty: then nobody needs the weights.
  void start();

  // More edits, held against the journal and what is queued already when no batch is in flight. After an end, which
  // a run that does not wait comes to by itself, they are left out. On the context's thread.
  void add(io::EditsFile file);

  // A run that waits ends with its queue from here on. On the context's thread.
  void close();

  const RunResult& result() const { return result_; }

 private:
  // Each asks the workers for one thing and resumes the next when they have answered.
  void begin();
  void replay(std::size_t next);
  void edit();
  void take_additions();
  void examine(std::vector<QueuedEdit> part, sharding::BatchApplied applied);
  void retry(std::vector<QueuedEdit> part, sharding::BatchApplied reverted, const std::string& why);
  void checkpoint();
  void finish();

  void ask(sharding::Command command, std::function<void(sharding::Reply)> then);
  void step(const std::function<void()>& action);
  void commit(sharding::BatchApplied applied, io::GuardRecord guard);
  sharding::ApplyBatch command_for(const std::vector<QueuedEdit>& part) const;
  void watch_signals();
  void limit_the_batch();
  void stop_watching();
  void dismiss_workers();

  boost::asio::io_context& context_;
  sharding::Workers& workers_;
  io::RunDirectory& directory_;
  io::Journal& journal_;
  Queue queue_;
  Provenance provenance_;
  Observer& observer_;
  EditRunOptions options_;
  std::vector<io::JournalEntry> to_replay_;
  std::deque<io::EditsFile> additions_;                             // not queued yet
  std::deque<std::vector<QueuedEdit>> parts_;                       // of the current batch, still to be tried
  std::optional<std::chrono::steady_clock::time_point> submitted_;  // the first attempt since the last commit
  Seconds seconds_{};                                               // of the activities of these attempts
  std::int64_t since_checkpoint_ = 0;                               // segments
  boost::asio::signal_set signals_;
  boost::asio::steady_timer grace_;
  bool watching_ = true;
  bool stopping_ = false;
  bool waiting_ = false;  // for more edits: no command is with the workers
  bool dismissed_ = false;
  RunResult result_;
};

}  // namespace anchorage::coordinator
