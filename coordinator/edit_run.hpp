// Edits a model from the journal's last commit to the end of the queue, on rank 0's io_context.
//
//   load the newest checkpoint, if any -> replay the live segments after it -> apply a batch -> the guard
//   judges it -> rename its segment into place (the commit) -> the next batch -> Stop
//
// A journal that was opened with its index has not read every segment. Those that the workers are to read are read
// in full first, so that no altered one reaches the weights.
//
// A batch that the guard rejects is reverted and retried in halves, down to single edits, which are set
// aside. A batch is also reverted where the workers refuse an edit that supersedes another: refused edits are
// set aside, the earlier edits stay, and the rest is retried as one part.
//
// The workers have one command at a time. SIGINT, SIGTERM and SIGUSR1 end the run after the current batch,
// which is finished and committed; where that takes longer than the grace time, io_context::run() throws
// GraceIsOver while the workers are still computing.
//
// io_context::run() throws a failure between two commands (SystemError: the disk is full). By then the
// workers have been told to stop, and the journal ends with the last whole segment: `--resume` continues from
// there. A worker that fails sends no reply; the thread that catches the failure calls io_context::stop().
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
  std::int64_t checkpoint_every = 0;  // segments, also of earlier runs; 0: no checkpoint is written or read
  // Time for the current batch after a signal; none: as long as it takes.
  std::optional<std::chrono::duration<double>> grace{};
  bool waits = false;  // waits for more edits when the queue is empty instead of ending
  // Completes edits that are added, before they are queued (chat prompts); where it throws, they are set aside.
  std::function<void(io::EditsFile&)> complete = [](io::EditsFile&) {};
};

// The current batch did not finish in the grace time after a signal. The journal ends with the batch before
// it.
class GraceIsOver : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class EditRun {
 public:
  // Borrows all but the queue, provenance and options. `context` must outlive the workers' last reply. The
  // journal has its base segment.
  EditRun(boost::asio::io_context& context, sharding::Workers& workers, io::RunDirectory& directory,
          io::Journal& journal, Queue queue, Provenance provenance, Observer& observer,
          EditRunOptions options = {});
  // Tells the workers to stop unless that has happened.
  ~EditRun();
  EditRun(const EditRun&) = delete;
  EditRun& operator=(const EditRun&) = delete;

  // Starts the run, which takes place in context.run(); that returns when the workers have stopped. Replays
  // nothing where the queue is empty, since nothing needs the weights then.
  void start();

  // Adds edits; they are compared with the journal and the queue when no batch is in flight. Ignored after
  // the run has ended, as a run that does not wait does by itself. Call on the context's thread.
  void add(io::EditsFile file);

  // Between two batches, as soon as none is in flight, and in the order of the calls; ignored after the run has
  // ended. Call on the context's thread.
  //
  // Removes the live edits of these ids as if they had never been made, as one segment.
  void remove(std::vector<std::string> ids);
  // Saves a checkpoint, where the run has any.
  void save();
  // Has the workers answer a question, which changes nothing.
  void ask_between(sharding::Command command, std::function<void(sharding::Reply)> then);

  // Makes a run that waits end when its queue is empty. Call on the context's thread.
  void close();

  const RunResult& result() const { return result_; }

 private:
  // Each step sends the workers at most one command and calls the next step when they have replied.
  void begin();
  void replay(std::size_t next);
  void edit();
  void take_additions();
  void examine(std::vector<QueuedEdit> part, sharding::BatchApplied applied);
  void retry(std::vector<QueuedEdit> part, sharding::BatchApplied reverted, const std::string& why);
  void accept();
  void refresh_if(bool drifted, std::int64_t up_to, const std::function<void()>& then);
  void checkpoint();
  void save_checkpoint();
  void save_index();
  void run_errand(std::function<void()> errand);
  void take_out(const std::vector<std::string>& ids);
  void finish();

  void ask(sharding::Command command, std::function<void(sharding::Reply)> then);
  void step(const std::function<void()>& action);
  void commit(sharding::BatchApplied applied, io::GuardRecord guard);
  void warn_of_values(const BatchReport& report);
  sharding::ApplyBatch command_for(const std::vector<QueuedEdit>& part);
  void add_segments(sharding::Removal& removal);
  std::vector<std::string> sound_paths(const std::vector<io::JournalEntry>& segments);
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
  RecordedEdits recorded_;                                          // filled where edits are added
  std::deque<io::EditsFile> additions_;                             // not queued yet
  std::deque<std::function<void()>> errands_;                       // each ends by calling `edit`
  std::deque<std::vector<QueuedEdit>> parts_;                       // of the current batch, not tried yet
  std::optional<std::chrono::steady_clock::time_point> submitted_;  // when the first attempt since the last commit
                                                                    // began
  Seconds seconds_{};                                               // in the activities of these attempts
  bool warned_of_values_ = false;
  std::int64_t since_checkpoint_ = 0;  // live segments since the last checkpoint
  boost::asio::signal_set signals_;
  boost::asio::steady_timer grace_;
  bool watching_ = true;
  bool stopping_ = false;
  bool after_errand_ = false;
  bool waiting_ = false;  // for more edits: the workers have no command
  bool dismissed_ = false;
  RunResult result_;
};

}  // namespace anchorage::coordinator
