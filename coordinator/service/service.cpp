#include "coordinator/service/service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <future>
#include <map>
#include <string_view>
#include <unordered_map>

#include "coordinator/json_text.hpp"
#include "coordinator/service/service_api.hpp"
#include "io/error.hpp"
#include "io/log.hpp"
#include "io/run/journal/live_segments.hpp"
#include "io/run/recorded_run.hpp"

namespace anchorage::coordinator {
namespace {

constexpr double longest_linger = 86400;  // seconds
const std::string settled_by_a_later_one = "a later edit gives another answer";

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
  exports_.emplace(
      run.path() / "exports",
      ExportOptions{.command = options_.export_command,
                    .on_network = [this](std::function<void()> action) { on_network(std::move(action)); },
                    .changed = [this](const auto& document) { server_->publish("export", text_of(document)); }});
  server_.emplace(context_, options_.listen,
                  [this](const HttpRequest& request, const Responder& respond) { api_->answer(request, respond); });
  if (!access_.has_tokens() && !server_->is_loopback()) {
    throw io::UserError({.expected = "a file of tokens, to listen on an address that others reach",
                         .found = "none",
                         .where = "--listen " + options_.listen,
                         .remedy = "give --token-file, or listen on 127.0.0.1"});
  }
  thread_ = std::jthread([this] { serve_network(); });
}

Service::~Service() {
  end();
  on_network([this] {
    linger_.cancel();
    server_->close();
    work_.reset();
  });
  thread_.join();
  exports_.reset();  // requests that were being read may have asked of it until now
}

// What fails here fails alone: the run continues.
void Service::serve_network() {
  for (bool is_open = true; is_open;) {
    try {
      context_.run();
      is_open = false;
    } catch (const std::exception& error) {
      spdlog::error("in the service's thread: {}", error.what());
    }
  }
}

void Service::on_network(std::function<void()> action) {
  boost::asio::post(context_, std::move(action));
}

// What is on the disk is put as it is: the journal knows what became of those that it has.
void Service::admit(const io::Edit& edit) {
  const LedgerEntry* known = state_.ledger.find(edit.id);
  if (known != nullptr && known->edit.asks_the_same_as(edit) && known->edit.target == edit.target) return;
  state_.ledger.put(edit, waits(edit) ? EditStage::proposed : EditStage::accepted);
}

// Of several answers to a question the last counts that is to be in the weights, or was: what a run of the program
// has superseded, or settled before its batch, is not written by the next one. Of several edits with one id, the
// last.
void Service::take_journal(const io::RunDirectory& run) {
  if (std::filesystem::exists(run.journal())) state_.open(io::journal_of(run), io::metrics_of_batches(run));
  if (!options_.takes_edits) return;
  std::vector<io::Edit> given = given_;
  given.insert(given.end(), inbox_.all_edits().begin(), inbox_.all_edits().end());
  std::unordered_map<std::string_view, std::size_t> last_of_id;
  for (std::size_t i = 0; i < given.size(); ++i) last_of_id[given[i].id] = i;
  std::map<std::pair<std::string_view, std::string_view>, std::size_t> last_answer;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const LedgerEntry* recorded = state_.ledger.find(given[i].id);
    const bool was_written = recorded != nullptr && recorded->stage != EditStage::set_aside;
    const bool is_wanted = recorded == nullptr && !inbox_.withdrawn().contains(given[i].id) && !waits(given[i]);
    if (was_written || is_wanted) last_answer[{given[i].subject, given[i].prompt}] = i;
  }
  for (std::size_t i = 0; i < given.size(); ++i) {
    const io::Edit& edit = given[i];
    if (last_of_id.at(edit.id) != i) continue;
    if (inbox_.withdrawn().contains(edit.id)) {
      if (state_.ledger.find(edit.id) == nullptr) state_.ledger.put(edit, EditStage::withdrawn);
      continue;
    }
    admit(edit);
    const auto last = last_answer.find({edit.subject, edit.prompt});
    const bool is_past = last != last_answer.end() && last->second > i;
    if (options_.supersedes && is_past && state_.ledger.find(edit.id)->stage == EditStage::accepted)
      state_.ledger.move(edit.id, EditStage::superseded, 0, settled_by_a_later_one);
  }
}

bool Service::waits(const io::Edit& edit) const {
  return state_.facts.require_approval && !edit.is_approved();
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

// Withdrawn first: a process that is killed in between removes these edits when it begins again. Where a later edit
// has an earlier one's id, the earlier one comes again.
void Service::carry_out_rollback(const io::RunDirectory& run, const Provenance& provenance) {
  const std::int64_t to = *std::exchange(rollback_, std::nullopt);
  auto journal = io::Journal::open(run.journal(), io::JournalAccess::append, run.journal_index());
  const std::int64_t last = std::ssize(journal.list()) - 1;
  const std::int64_t state = io::last_live_segment(journal, to);  // whose state it is
  const auto live = io::live_segments_from(journal, state);
  if (state > 0 && (live.empty() || live.front().header.batch != state)) {
    spdlog::warn("segment {} is not live: the run is not rolled back to it", to);
    return;
  }
  std::map<std::string, io::Edit> staying;
  for (const RecordedEdit& edit : recorded_edits(journal, to)) {
    if (edit.is_live()) staying[edit.edit.id] = edit.edit;
  }
  std::vector<io::Edit> later, again;
  for (const RecordedEdit& edit : recorded_edits(journal)) {
    if (edit.batch <= to) continue;
    const auto kept = staying.find(edit.edit.id);
    kept == staying.end() ? later.push_back(edit.edit) : again.push_back(kept->second);
  }
  for (const auto& [id, edit] : staying) {
    if (inbox_.withdrawn().contains(id)) again.push_back(edit);  // removed since
  }
  std::vector<std::string> ids;
  for (const io::Edit& edit : later) ids.push_back(edit.id);
  const bool differs = state != io::last_live_segment(journal, last);
  const auto append = [&] {
    if (differs) journal.append(rollback_segment(to, last + 1, provenance));
  };
  if (!options_.can_remove) append();
  if (!ids.empty()) inbox_.withdraw(ids);
  if (!again.empty()) inbox_.add(again);
  if (options_.can_remove) append();
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
    if (state_.stage == RunStage::stopping) return run.close();
    for (const std::string& id : inbox_.withdrawn()) {
      if (options_.can_remove && state_.ledger.is_live(id)) run.remove({id});
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
  if (stage == RunStage::stopping) is_stopping_ = true;
  const bool is_idle = stage == RunStage::waiting;
  state_.stage = is_idle && paused_ ? RunStage::paused : stage;
  publish_run();
}

void Service::publish_run() {
  if (server_) server_->publish("run", text_of(state_.document()));
}

void Service::publish_batches(const std::set<std::int64_t>& numbers) {
  for (const std::int64_t number : numbers) {
    if (const auto* document = state_.batch(number)) server_->publish("batch", text_of(*document));
  }
}

// Begins a batch when there is one to begin, or waits until its oldest edit has waited long enough.
void Service::flush() {
  if (run_ == nullptr || !idle_ || paused_ || !options_.takes_edits) return;
  const auto oldest = state_.ledger.oldest_accepted();
  if (!oldest) return;
  const auto until = *oldest + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                   std::chrono::duration<double>(std::min(state_.facts.linger, longest_linger)));
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
  for (const io::Edit& edit : file.edits) file.places.push_back(edit.id);
  handed_over_ = file.places;
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

HostedRun* Service::open_run() const {
  const bool is_closing = rollback_ || state_.stage == RunStage::stopping;
  return is_closing ? nullptr : run_;
}

void Service::ask(HostedRun& run, sharding::Command command,
                  std::function<void(std::optional<sharding::Reply>)> then) {
  const std::uint64_t number = ++last_question_;
  questions_[number] = std::move(then);
  run.ask_between(std::move(command), [this, number](sharding::Reply reply) {
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
    for (const Conflict& conflict : findings.conflicts) {
      if (conflict.policy == OnConflict::supersede && !conflict.committed_in &&
          conflict.earlier.id != conflict.later.id)
        state_.ledger.move(conflict.earlier.id, EditStage::superseded, 0, settled_by_a_later_one);
    }
    for (const RecordedEdit& edit : findings.removed)
      state_.ledger.move(edit.edit.id, EditStage::removed, edit.batch);
  });
}

void Service::waiting() {
  on_network([this] {
    if (additions_under_way_ > 0 || rollback_) return;
    idle_ = true;
    settle_handed_over();
    enter(RunStage::waiting);
    flush();
  });
}

void Service::reverted(std::int64_t edits, const std::string& why) {
  on_network([this, edits, why] {
    ++state_.reverted;
    server_->publish("reverted", text_of({{"edits", edits}, {"reason", why}}));
  });
}

void Service::committed(const BatchReport& report) {
  on_network([this, report] {
    state_.take(report);
    for (const io::EditRecord& edit : report.edits) {
      const bool is_to_go = inbox_.withdrawn().contains(edit.id) && state_.ledger.is_live(edit.id);
      if (is_to_go && options_.can_remove && run_ != nullptr) run_->remove({edit.id});
    }
    spdlog::info("batch {}: {} edits committed, {} set aside", report.batch, report.committed,
                 report.set_aside.size());
    std::set<std::int64_t> changed{report.batch};
    for (const io::RecordedPlace& place : report.superseded) changed.insert(place.segment);
    publish_batches(changed);
    publish_run();
  });
}

void Service::removed(const RemovalReport& report) {
  on_network([this, report] {
    state_.take(report);
    std::set<std::int64_t> changed;
    for (const io::RecordedPlace& place : report.removed) changed.insert(place.segment);
    publish_batches(changed);
    publish_run();
  });
}

void Service::cannot_remove(const std::vector<std::string>& ids, const std::string& why) {
  for (const std::string& id : ids) spdlog::warn("edit {} is not removed: {}", id, why);
}

void Service::stopping(int) {
  has_signal_ = true;
  is_stopping_ = true;
  on_network([this] { enter(RunStage::stopping); });
}

void Service::finished(const RunResult&) {
  on_network([this] {
    run_ = nullptr;
    idle_ = false;
  });
}

}  // namespace anchorage::coordinator
