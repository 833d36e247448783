#include "coordinator/service/service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <future>

#include "coordinator/service/service_api.hpp"
#include "io/error.hpp"
#include "io/log.hpp"
#include "io/run/journal/live_segments.hpp"
#include "io/run/recorded_run.hpp"

namespace anchorage::coordinator {
namespace {

Access access_of(const ServiceOptions& options) {
  return options.token_file.empty() ? Access() : Access::read(options.token_file);
}

io::Inbox opened_inbox(const io::RunDirectory& run, const ServiceOptions& options) {
  return io::Inbox(io::inbox_of(run.path()),
                   options.takes_edits ? io::Inbox::Access::append : io::Inbox::Access::read);
}

}  // namespace

Service::Service(const io::RunDirectory& run, RunFacts facts, ServiceOptions options,
                 const std::vector<io::Edit>& edits)
    : work_(context_.get_executor()),
      linger_(context_),
      options_(std::move(options)),
      access_(access_of(options_)),
      inbox_(opened_inbox(run, options_)),
      state_(std::move(facts)),
      given_(edits),
      api_(std::make_unique<ServiceApi>(*this)) {
  take_journal(run);
  server_.emplace(context_, options_.listen,
                  [this](const HttpRequest& request, const Responder& respond) { api_->answer(request, respond); });
  if (!access_.has_tokens() && !server_->is_loopback()) {
    throw io::UserError({.expected = "a file of tokens, to listen on an address that others reach",
                         .found = "none",
                         .where = "--listen " + options_.listen,
                         .remedy = "give --token-file, or listen on 127.0.0.1"});
  }
  thread_ = std::jthread([this] { context_.run(); });
}

Service::~Service() {
  end();
  on_network([this] {
    linger_.cancel();
    server_->close();
    work_.reset();
  });
  thread_.join();
}

void Service::on_network(std::function<void()> action) {
  boost::asio::post(context_, std::move(action));
}

// What is on the disk is put as it is: the journal knows what became of those that it has.
void Service::admit(const io::Edit& edit) {
  const LedgerEntry* known = state_.ledger.find(edit.id);
  if (known != nullptr && known->edit.asks_the_same_as(edit) && known->edit.target == edit.target) return;
  const bool waits = state_.facts.require_approval && !edit.is_approved();
  state_.ledger.put(edit, waits ? EditStage::proposed : EditStage::accepted);
}

void Service::take_journal(const io::RunDirectory& run) {
  if (std::filesystem::exists(run.journal())) state_.open(io::journal_of(run), io::seconds_of_batches(run));
  if (!options_.takes_edits) return;
  for (const io::Edit& edit : given_) {
    if (!inbox_.withdrawn().contains(edit.id)) admit(edit);
  }
  for (const io::Edit& edit : inbox_.edits()) admit(edit);
  for (const io::Edit& edit : inbox_.withdrawn_edits()) {
    if (state_.ledger.find(edit.id) == nullptr) state_.ledger.put(edit, EditStage::withdrawn);
  }
}

bool Service::roll_back(const io::RunDirectory& run, const Provenance& provenance) {
  std::promise<bool> done;
  on_network([&] {
    try {
      const bool was_asked = rollback_.has_value();
      if (was_asked) carry_out_rollback(run, provenance);
      done.set_value(was_asked);
    } catch (...) {
      done.set_exception(std::current_exception());
    }
  });
  return done.get_future().get();
}

// Withdrawn first: a process that is killed in between removes these edits when it begins again.
void Service::carry_out_rollback(const io::RunDirectory& run, const Provenance& provenance) {
  const std::int64_t to = *std::exchange(rollback_, std::nullopt);
  auto journal = io::Journal::open(run.journal(), io::JournalAccess::append, run.journal_index());
  std::vector<io::Edit> later;
  for (const RecordedEdit& edit : recorded_edits(journal)) {
    if (edit.batch > to) later.push_back(edit.edit);
  }
  for (const io::Edit& edit : later) inbox_.withdraw(edit.id);
  const std::int64_t last = std::ssize(journal.list()) - 1;
  if (io::last_live_segment(journal, to) != io::last_live_segment(journal, last))
    journal.append(rollback_segment(to, last + 1, provenance));
  state_.ledger = {};
  take_journal(run);
  for (const io::Edit& edit : later) {
    if (state_.ledger.find(edit.id) == nullptr) state_.ledger.put(edit, EditStage::withdrawn);
  }
  enter(RunStage::replaying);
}

void Service::attach(HostedRun& run) {
  on_network([this, &run] {
    run_ = &run;
    has_begun_ = true;
    additions_under_way_ = 0;
    for (const std::string& id : inbox_.withdrawn()) {
      const LedgerEntry* entry = state_.ledger.find(id);
      if (entry != nullptr && entry->stage == EditStage::committed) run.remove({id});
    }
  });
}

void Service::describe_ranks(nlohmann::ordered_json ranks) {
  on_network([this, ranks = std::move(ranks)]() mutable {
    state_.facts.ranks = std::move(ranks);
    publish_run();
  });
}

void Service::detach() {
  std::promise<void> detached;
  on_network([&] {
    run_ = nullptr;
    idle_ = false;
    forget_questions();
    detached.set_value();
  });
  detached.get_future().wait();
}

void Service::end(const std::string& failure) {
  detach();
  on_network([this, failure] {
    if (!failure.empty()) state_.failure = failure;
    enter(RunStage::finished);
  });
}

void Service::enter(RunStage stage) {
  if (state_.stage == RunStage::finished) return;
  if (state_.stage == RunStage::stopping && stage != RunStage::finished) return;
  const bool is_idle = stage == RunStage::waiting;
  state_.stage = is_idle && paused_ ? RunStage::paused : stage;
  publish_run();
}

void Service::publish_run() {
  if (server_) server_->publish("run", state_.document().dump());
}

// Begins a batch when there is one to begin, or waits until its oldest edit has waited long enough.
void Service::flush() {
  if (run_ == nullptr || !idle_ || paused_ || !options_.takes_edits) return;
  const auto oldest = state_.ledger.oldest_accepted();
  if (!oldest) return;
  const auto until = *oldest + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                   std::chrono::duration<double>(state_.facts.linger));
  if (state_.ledger.count(EditStage::accepted) >= state_.facts.batch_size ||
      std::chrono::steady_clock::now() >= until)
    return hand_over(state_.facts.batch_size);
  linger_.expires_at(until);
  linger_.async_wait([this](const boost::system::error_code& cancelled) {
    if (!cancelled) flush();
  });
}

void Service::hand_over(std::int64_t most) {
  io::EditsFile file{.format = io::Format::native, .edits = state_.ledger.take_accepted(most), .rejected = {}};
  file.places.assign(file.edits.size(), "the inbox");
  handed_over_.clear();
  for (const io::Edit& edit : file.edits) handed_over_.push_back(edit.id);
  try {
    options_.complete(file);
  } catch (const io::UserError& error) {
    for (const std::string& id : handed_over_) state_.put_aside(id, error.what());
    return flush();
  }
  for (const io::Rejected& rejected : file.rejected) spdlog::warn("{}: {}", rejected.where, rejected.reason);
  idle_ = false;
  ++additions_under_way_;
  run_->add(std::move(file));
  enter(RunStage::editing);
}

// What was handed over, and is in no batch when the run waits again, is a fact that the run has by another edit.
void Service::settle_handed_over() {
  for (const std::string& id : handed_over_) {
    const LedgerEntry* entry = state_.ledger.find(id);
    if (entry == nullptr || entry->stage != EditStage::queued) continue;
    state_.put_aside(id, "another edit says the same");
  }
  handed_over_.clear();
}

void Service::ask(sharding::Command command, std::function<void(std::optional<sharding::Reply>)> then) {
  if (run_ == nullptr) return then(std::nullopt);
  const std::uint64_t number = ++last_question_;
  questions_[number] = std::move(then);
  run_->ask_between(std::move(command), [this, number](sharding::Reply reply) {
    on_network([this, number, reply = std::move(reply)]() mutable {
      const auto question = questions_.extract(number);
      if (!question.empty()) question.mapped()(std::move(reply));
    });
  });
}

void Service::forget_questions() {
  for (const auto& [number, then] : std::exchange(questions_, {})) then(std::nullopt);
}

void Service::replaying(std::int64_t) {
  on_network([this] { enter(RunStage::replaying); });
}

void Service::editing(std::int64_t edits, std::int64_t) {
  on_network([this, edits] {
    if (edits > 0) enter(RunStage::editing);
  });
}

void Service::added(std::int64_t, const QueueFindings& findings) {
  on_network([this, findings] {
    --additions_under_way_;
    for (const SetAside& edit : findings.set_aside) state_.put_aside(edit.edit, edit.reason);
    for (const RecordedEdit& edit : findings.removed)
      state_.ledger.move(edit.edit.id, EditStage::removed, edit.batch);
  });
}

void Service::waiting() {
  on_network([this] {
    if (additions_under_way_ > 0) return;
    idle_ = true;
    settle_handed_over();
    enter(RunStage::waiting);
    flush();
  });
}

void Service::reverted(std::int64_t edits, const std::string& why) {
  on_network([this, edits, why] {
    ++state_.reverted;
    server_->publish("reverted", nlohmann::ordered_json{{"edits", edits}, {"reason", why}}.dump());
  });
}

void Service::committed(const BatchReport& report) {
  on_network([this, report] {
    state_.take(report);
    for (const io::EditRecord& edit : report.edits) {
      const bool is_committed = edit.state == io::EditState::committed;
      if (is_committed && inbox_.withdrawn().contains(edit.id) && run_ != nullptr) run_->remove({edit.id});
    }
    server_->publish("batch", state_.last_document().dump());
    publish_run();
  });
}

void Service::removed(const RemovalReport& report) {
  on_network([this, report] {
    state_.take(report);
    publish_run();
  });
}

void Service::cannot_remove(const std::vector<std::string>& ids, const std::string& why) {
  for (const std::string& id : ids) spdlog::warn("edit {} is not removed: {}", id, why);
}

void Service::stopping(int) {
  has_signal_ = true;
  on_network([this] { enter(RunStage::stopping); });
}

void Service::finished(const RunResult&) {
  on_network([this] {
    run_ = nullptr;
    idle_ = false;
  });
}

}  // namespace anchorage::coordinator
