// The service of a run: watches it, reports it over HTTP, takes edits and hands them to the run batch by batch.
//
// It has a thread of its own for the network, so that neither a client makes the coordinator wait nor a commit,
// which waits for the disk, a client. All of its state belongs to that thread: what the coordinator's thread
// reports is posted there, what a request asks of the run is posted to the run.
//
// An edit is in the run's inbox, on the disk, before its request is answered. From there it goes to the run when a
// batch is full or its oldest edit has waited long enough, one batch at a time; a killed service finds in journal
// and inbox what is written and what is not.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/hosted_run.hpp"
#include "coordinator/observer.hpp"
#include "coordinator/service/access.hpp"
#include "coordinator/service/exports.hpp"
#include "coordinator/service/http_server.hpp"
#include "coordinator/service/run_state.hpp"
#include "io/run/inbox.hpp"

namespace anchorage::coordinator {

struct ServiceOptions {
  std::string listen = "127.0.0.1:8470";
  std::filesystem::path token_file{};  // empty: reading alone, on a loopback address
  bool takes_edits = true;             // false: it only reports a run that has its edits
  bool can_remove = true;              // whether the run's method can take an edit out of the weights
  bool supersedes = true;              // whether a later answer to a question replaces an earlier one
  bool saves_checkpoints = true;
  // Returns the program and its arguments that write an export of the run; empty: none is written.
  ExportCommand export_command{};
};

// One request of the interface, as docs/service.md and openapi.json have it.
struct Route {
  std::string method, path;  // "GET", "/v1/edits/{id}"
  Role role = Role::read;
};
std::vector<Route> service_routes();

class Service final : public Observer {
 public:
  // Listens from now on. `run` is the run's directory, whose lock the caller holds; its journal and inbox are read.
  // `edits` are those of the run's files. Throws io::UserError for an address, a file of tokens or
  // an inbox that cannot be used, and where more than this machine would be served without tokens.
  Service(const io::RunDirectory& run, RunFacts facts, ServiceOptions options, const std::vector<io::Edit>& edits);
  // Ends connections and the thread.
  ~Service() override;
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  std::string address() const { return server_->address(); }

  // The run that is served from now on, which waits for edits where the service takes any; it must outlive
  // `detach`. Call it before HostedRun::run.
  void attach(HostedRun& run);
  // From now on there is none: answers what is still asked of it.
  void detach();
  // Says what the ranks are. Any thread.
  void describe_ranks(nlohmann::ordered_json ranks);
  // Carries out a rollback that was asked for: call it when HostedRun::run has returned, with the journal closed.
  // The edits of later batches are withdrawn, then the segment is appended. Returns whether there was one: the run
  // is then to be opened anew, and attached. Throws what journal and inbox throw.
  bool roll_back(const io::RunDirectory& run, const Provenance& provenance);
  // Says that the run has ended, and why where it failed.
  void end(const std::string& failure = "");

  // Whether a signal has told the run to stop; whether anything has.
  bool has_signal() const { return has_signal_; }
  bool is_stopping() const { return is_stopping_; }

  // Called on the coordinator's thread.
  void replaying(std::int64_t segments) override;
  void editing(std::int64_t edits, std::int64_t batches) override;
  void added(std::int64_t edits, const QueueFindings& findings) override;
  void waiting() override;
  void reverted(std::int64_t edits, const std::string& why) override;
  void committed(const BatchReport& report) override;
  void removed(const RemovalReport& report) override;
  void cannot_remove(const std::vector<std::string>& ids, const std::string& why) override;
  void stopping(int signal) override;
  void finished(const RunResult& result) override;

 private:
  friend class ServiceApi;

  void serve_network();
  void on_network(std::function<void()> action);
  void admit(const io::Edit& edit);
  bool waits(const io::Edit& edit) const;  // for approval
  void take_journal(const io::RunDirectory& run);
  void carry_out_rollback(const io::RunDirectory& run, const Provenance& provenance);
  void enter(RunStage stage);
  void publish_run();
  void publish_batches(const std::set<std::int64_t>& numbers);
  void flush();
  void hand_over(std::int64_t most);
  void settle_handed_over();
  // The run, unless there is none, or it is ending or being rolled back.
  HostedRun* open_run() const;
  // Asks the run between two batches; `then` is called on the network's thread, without a reply where the run ends.
  void ask(HostedRun& run, sharding::Command command, std::function<void(std::optional<sharding::Reply>)> then);
  void forget_questions();

  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer linger_;
  ServiceOptions options_;
  Access access_;
  io::Inbox inbox_;
  RunState state_;
  std::optional<Exports> exports_;
  HostedRun* run_ = nullptr;              // while there is one to ask
  bool has_begun_ = false;                // there was one: its directory stays
  bool idle_ = false, paused_ = false;    // the run waits for edits; no batch is to begin
  std::int64_t additions_under_way_ = 0;  // handed over and not yet queued
  std::vector<std::string> handed_over_;  // ids of the last batch
  std::vector<io::Edit> given_;           // of the run's files
  std::optional<std::int64_t> rollback_;  // to the state after this segment, asked for
  std::uint64_t last_question_ = 0;
  std::map<std::uint64_t, std::function<void(std::optional<sharding::Reply>)>> questions_;
  std::unique_ptr<class ServiceApi> api_;
  std::optional<HttpServer> server_;
  std::atomic<bool> has_signal_ = false, is_stopping_ = false;
  std::jthread thread_;
};

}  // namespace anchorage::coordinator
