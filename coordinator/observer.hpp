// Observers of a run: the progress bar and any others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/batch_report.hpp"
#include "coordinator/queue.hpp"

namespace anchorage::coordinator {

struct RunResult {
  std::int64_t batches = 0;         // committed by this run
  std::int64_t committed = 0;       // edits committed by this run
  std::vector<SetAside> set_aside;  // by this run, including those that the queue set aside before it
  Seconds seconds{};                // of the batches
  Drift drift{};                    // at the end, over all batches of the journal
  bool stopped = false;             // by a signal, with batches left in the queue
};

// Watches a run. Its functions are called on the io_context's thread; an exception ends the run.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void warned(const std::string& /*of*/) {}  // something that the run continues with, or without
  virtual void replaying(std::int64_t /*segments*/) {}
  virtual void editing(std::int64_t /*edits*/, std::int64_t /*batches*/) {}         // the first batch begins
  virtual void added(std::int64_t /*edits*/, const QueueFindings& /*findings*/) {}  // to the queue during the run
  virtual void waiting() {}                                                         // for more edits
  virtual void reverted(std::int64_t /*edits*/, const std::string& /*why*/) {}      // a batch, retried in parts
  virtual void committed(const BatchReport& /*report*/) {}
  virtual void removed(const RemovalReport& /*report*/) {}  // edits, by a removal between two batches
  virtual void cannot_remove(const std::vector<std::string>& /*ids*/, const std::string& /*why*/) {}
  virtual void stopping(int /*signal*/) {}        // the current batch is the last one
  virtual void still_stopping(int /*signal*/) {}  // a further signal before the batch has ended
  virtual void finished(const RunResult& /*result*/) {}
};

// Forwards to several observers, in the order in which they were added. Borrows them.
class Observers final : public Observer {
 public:
  void add(Observer& observer) { observers_.push_back(&observer); }

  void warned(const std::string& of) override {
    for (Observer* each : observers_) each->warned(of);
  }
  void replaying(std::int64_t segments) override {
    for (Observer* each : observers_) each->replaying(segments);
  }
  void editing(std::int64_t edits, std::int64_t batches) override {
    for (Observer* each : observers_) each->editing(edits, batches);
  }
  void added(std::int64_t edits, const QueueFindings& findings) override {
    for (Observer* each : observers_) each->added(edits, findings);
  }
  void waiting() override {
    for (Observer* each : observers_) each->waiting();
  }
  void reverted(std::int64_t edits, const std::string& why) override {
    for (Observer* each : observers_) each->reverted(edits, why);
  }
  void committed(const BatchReport& report) override {
    for (Observer* each : observers_) each->committed(report);
  }
  void removed(const RemovalReport& report) override {
    for (Observer* each : observers_) each->removed(report);
  }
  void cannot_remove(const std::vector<std::string>& ids, const std::string& why) override {
    for (Observer* each : observers_) each->cannot_remove(ids, why);
  }
  void stopping(int signal) override {
    for (Observer* each : observers_) each->stopping(signal);
  }
  void still_stopping(int signal) override {
    for (Observer* each : observers_) each->still_stopping(signal);
  }
  void finished(const RunResult& result) override {
    for (Observer* each : observers_) each->finished(result);
  }

 private:
  std::vector<Observer*> observers_;
};

}  // namespace anchorage::coordinator
