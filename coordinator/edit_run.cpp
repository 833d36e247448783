#include "coordinator/edit_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <csignal>
#include <iterator>
#include <utility>
#include <variant>

#include "io/error.hpp"
#include "io/run/checkpoint.hpp"
#include "io/run/journal/live_segments.hpp"

namespace anchorage::coordinator {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t checkpoints_kept = 2;  // besides the one that is being written
constexpr double few_values = 0.5;           // share of a batch's edits

// Returns the path of the last segment with anchors of the state after segment `number`; empty where there is none.
std::string last_with_anchors(io::Journal& journal, std::int64_t number) {
  for (number = io::last_live_segment(journal, number); number > 0;
       number = io::last_live_segment(journal, number - 1)) {
    if (!journal.has_anchors(number)) continue;
    journal.require_sound(number);
    return journal.list()[static_cast<std::size_t>(number)].path.string();
  }
  return "";
}

// Whether an edit that supersedes another was refused: then the earlier one must stay.
bool loses_a_place(const std::vector<QueuedEdit>& part, const sharding::BatchApplied& applied) {
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (!part[i].supersedes.empty() && applied.edits[i].state == io::EditState::set_aside) return true;
  }
  return false;
}

// Clears what was measured on weights that have been reverted.
void forget_what_came(io::EditRecord& edit) {
  edit.nll_after = io::not_measured;
  edit.match_after = false;
}

// Completes the edits, or rejects all of them.
void complete(io::EditsFile& file, const std::function<void(io::EditsFile&)>& completion) {
  try {
    completion(file);
  } catch (const std::exception& error) {
    for (const io::Edit& edit : file.edits) file.rejected.push_back({.where = edit.id, .reason = error.what()});
    file.edits.clear();
    file.places.clear();
  }
}

// Returns the edits among `all` whose record is in this state, in order.
std::vector<QueuedEdit> edits_in_state(io::EditState state, const std::vector<QueuedEdit>& all,
                                       const std::vector<io::EditRecord>& records) {
  std::vector<QueuedEdit> edits;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (records[i].state == state) edits.push_back(all[i]);
  }
  return edits;
}

}  // namespace

EditRun::EditRun(boost::asio::io_context& context, sharding::Workers& workers, io::RunDirectory& directory,
                 io::Journal& journal, Queue queue, Provenance provenance, Observer& observer,
                 EditRunOptions options)
    : context_(context),
      workers_(workers),
      directory_(directory),
      journal_(journal),
      queue_(std::move(queue)),
      provenance_(std::move(provenance)),
      observer_(observer),
      options_(std::move(options)),
      signals_(context, SIGINT, SIGTERM, SIGUSR1),
      grace_(context) {
  result_.set_aside = queue_.findings().set_aside;
}

EditRun::~EditRun() {
  dismiss_workers();
}

void EditRun::start() {
  watch_signals();  // which also keeps context.run() going while the workers compute
  boost::asio::post(context_, [this] { step([this] { begin(); }); });
}

void EditRun::begin() {
  const auto segments = std::ssize(journal_.list());
  io::check(segments > 0, "a run without its base segment");
  result_.drift = drift_of(journal_);
  if (queue_.empty() && additions_.empty() && !options_.waits) return finish();
  // A run that ended between the parts of a batch resumes with the same parts.
  for (const std::int64_t edits : io::SegmentReader(journal_.last().path).guard().pending)
    parts_.push_back(queue_.take(edits));
  std::erase_if(parts_, [](const auto& part) { return part.empty(); });

  io::CheckpointChoice choice;
  if (options_.checkpoint_every > 0 && io::last_live_segment(journal_, segments - 1) > 0)
    choice = io::newest_checkpoint(directory_.checkpoint(), journal_, io::edited_layers(journal_));
  for (const io::DamagedCheckpoint& damaged : choice.damaged)
    observer_.warned(fmt::format("the checkpoint {} is ignored: {}", damaged.path.string(), damaged.diagnostic));
  save_index();
  to_replay_ = io::live_segments_from(journal_, choice.segment.value_or(0) + 1);
  since_checkpoint_ = std::ssize(to_replay_);
  if (!to_replay_.empty()) observer_.replaying(std::ssize(to_replay_));
  for (const io::JournalEntry& entry : to_replay_) journal_.require_sound(entry.header.batch);
  if (!choice.segment) return replay(0);
  ask(sharding::LoadCheckpoint{directory_.checkpoint().string(), *choice.segment,
                               last_with_anchors(journal_, *choice.segment)},
      [this](const sharding::Reply&) { replay(0); });
}

void EditRun::replay(std::size_t next) {
  if (stopping_) return finish();
  if (next < to_replay_.size()) {
    return ask(sharding::ReplaySegment{to_replay_[next].path.string()}, [this, next](const sharding::Reply& reply) {
      refresh_if(std::get<sharding::SegmentReplayed>(reply).drifted, to_replay_[next].header.batch,
                 [this, next] { replay(next + 1); });
    });
  }
  std::int64_t edits = queue_.edits();
  for (const auto& part : parts_) edits += std::ssize(part);
  observer_.editing(edits, queue_.batches() + std::ssize(parts_));
  edit();
}

void EditRun::add(io::EditsFile file) {
  if (dismissed_) return;
  additions_.push_back(std::move(file));
  if (!std::exchange(waiting_, false)) return;  // the batch in flight comes first
  step([this] { edit(); });
}

void EditRun::remove(std::vector<std::string> ids) {
  run_errand([this, ids = std::move(ids)] { take_out(ids); });
}

void EditRun::save() {
  run_errand([this] { options_.checkpoint_every == 0 ? edit() : save_checkpoint(); });
}

void EditRun::ask_between(sharding::Command command, std::function<void(sharding::Reply)> then) {
  run_errand([this, command = std::move(command), then = std::move(then)] {
    ask(command, [this, then](sharding::Reply reply) {
      then(std::move(reply));
      edit();
    });
  });
}

void EditRun::run_errand(std::function<void()> errand) {
  if (dismissed_) return;
  errands_.push_back(std::move(errand));
  if (std::exchange(waiting_, false)) step([this] { edit(); });
}

// The removal is a batch of no edits that take the places of these.
void EditRun::take_out(const std::vector<std::string>& ids) {
  sharding::ApplyBatch command{.batch = std::ssize(journal_.list())};
  for (const RecordedEdit& edit : recorded_.at_end_of(journal_)) {
    if (edit.is_live() && std::ranges::count(ids, edit.edit.id) > 0)
      command.superseded.edits.push_back(edit.place());
  }
  if (command.superseded.edits.empty()) {
    observer_.cannot_remove(ids, "no live edit has this id");
    return edit();
  }
  add_segments(command.superseded);
  ask(std::move(command), [this](sharding::Reply reply) {
    auto applied = std::get<sharding::BatchApplied>(std::move(reply));
    io::BatchSegment segment =
        removal_segment(std::move(applied.removal), std::ssize(journal_.list()), provenance_);
    const RemovalReport report = removal_report_of(segment);
    journal_.append(std::move(segment));
    result_.drift = report.drift;
    observer_.removed(report);
    accept();
  });
}

void EditRun::close() {
  options_.waits = false;
  if (std::exchange(waiting_, false)) step([this] { finish(); });
}

// Compares additions with the current journal, including what was written since the queue was filled.
void EditRun::take_additions() {
  while (!additions_.empty()) {
    io::EditsFile file = std::move(additions_.front());
    additions_.pop_front();
    complete(file, options_.complete);
    const std::int64_t before = queue_.edits();
    const QueueFindings findings = queue_.add(file, recorded_.at_end_of(journal_));
    result_.set_aside.insert(result_.set_aside.end(), findings.set_aside.begin(), findings.set_aside.end());
    observer_.added(queue_.edits() - before, findings);
  }
}

void EditRun::edit() {
  if (stopping_) return finish();
  // Errands and batches take turns.
  const bool has_edits = !queue_.empty() || !additions_.empty();
  if (parts_.empty() && !errands_.empty() && !(std::exchange(after_errand_, false) && has_edits)) {
    after_errand_ = true;
    const auto errand = std::move(errands_.front());
    errands_.pop_front();
    return errand();
  }
  if (parts_.empty()) take_additions();
  if (parts_.empty() && queue_.empty()) {
    if (!options_.waits) return finish();
    waiting_ = true;
    return observer_.waiting();
  }
  if (parts_.empty()) parts_.push_back(queue_.take_batch());
  std::vector<QueuedEdit> part = std::move(parts_.front());
  parts_.pop_front();
  sharding::ApplyBatch command = command_for(part);
  if (!submitted_) submitted_ = Clock::now();
  ask(std::move(command), [this, part = std::move(part)](sharding::Reply reply) {
    examine(part, std::get<sharding::BatchApplied>(std::move(reply)));
  });
}

sharding::ApplyBatch EditRun::command_for(const std::vector<QueuedEdit>& part) {
  sharding::ApplyBatch command;
  command.batch = std::ssize(journal_.list());
  for (const QueuedEdit& queued : part) {
    command.edits.push_back(queued.edit);
    auto& superseded = command.superseded.edits;
    superseded.insert(superseded.end(), queued.supersedes.begin(), queued.supersedes.end());
  }
  if (command.superseded.edits.empty()) return command;
  add_segments(command.superseded);
  return command;
}

// Names the segments from that of the earliest edit on.
void EditRun::add_segments(sharding::Removal& removal) {
  const auto first = std::ranges::min(removal.edits, {}, &io::RecordedPlace::segment).segment;
  removal.live = sound_paths(io::live_segments_from(journal_, first));
}

// Returns the paths of segments that the workers are to read, each proven whole.
std::vector<std::string> EditRun::sound_paths(const std::vector<io::JournalEntry>& segments) {
  std::vector<std::string> paths;
  for (const io::JournalEntry& entry : segments) {
    journal_.require_sound(entry.header.batch);
    paths.push_back(entry.path.string());
  }
  return paths;
}

void EditRun::examine(std::vector<QueuedEdit> part, sharding::BatchApplied applied) {
  seconds_ += Seconds{.activities = applied.seconds, .ranks = applied.ranks};
  const Judgment judgment = judge(applied, options_.guard);
  const bool loses = loses_a_place(part, applied);
  if (judgment.accepted() && !loses) {
    const bool wrote = std::ranges::any_of(
        applied.edits, [](const io::EditRecord& edit) { return edit.state == io::EditState::committed; });
    commit(std::move(applied),
           {.probes = judgment.probes, .decision = wrote ? "accepted" : "every edit set aside"});
    return accept();
  }
  const std::string why =
      judgment.accepted() ? "an edit that was to take another's place was refused" : judgment.text();
  ask(sharding::RevertBatch{},
      [this, part = std::move(part), applied = std::move(applied), why, loses](const sharding::Reply&) mutable {
        observer_.reverted(std::ssize(part), why);
        if (loses) {
          // The refused edits are recorded as set aside; the rest is retried as one part.
          auto rest = edits_in_state(io::EditState::committed, part, applied.edits);
          std::erase_if(applied.edits,
                        [](const io::EditRecord& edit) { return edit.state == io::EditState::committed; });
          std::ranges::for_each(applied.edits, forget_what_came);
          applied.canaries.clear();
          if (!rest.empty()) parts_.push_front(std::move(rest));
          commit(std::move(applied), {.probes = {}, .decision = "every edit set aside"});
          return edit();
        }
        retry(std::move(part), std::move(applied), why);
      });
}

// Retries in halves; sets a single edit aside.
void EditRun::retry(std::vector<QueuedEdit> part, sharding::BatchApplied reverted, const std::string& why) {
  if (part.size() > 1) {
    const auto middle = part.begin() + std::ssize(part) / 2;
    parts_.emplace_front(middle, part.end());
    parts_.emplace_front(part.begin(), middle);
    return edit();
  }
  const Judgment judgment = judge(reverted, options_.guard);
  io::EditRecord& record = reverted.edits.front();
  record.state = io::EditState::set_aside;
  record.reason = why;
  forget_what_came(record);
  reverted.canaries.clear();
  commit(std::move(reverted), {.probes = judgment.probes, .decision = "undone: " + why});
  edit();
}

// After a commit: the batch enters the workers' state.
void EditRun::accept() {
  ask(sharding::AcceptBatch{}, [this](const sharding::Reply& reply) {
    refresh_if(std::get<sharding::BatchAccepted>(reply).drifted, journal_.last().header.batch,
               [this] { checkpoint(); });
  });
}

// Where least squares have drifted, has them computed anew for the state after segment `up_to`.
void EditRun::refresh_if(bool drifted, std::int64_t up_to, const std::function<void()>& then) {
  if (!drifted) return then();
  ask(sharding::RefreshLeastSquares{sound_paths(io::live_segments(journal_, up_to))},
      [then](const sharding::Reply&) { then(); });
}

// After a commit: saves a checkpoint in the background every `checkpoint_every` segments.
void EditRun::checkpoint() {
  if (options_.checkpoint_every == 0 || ++since_checkpoint_ < options_.checkpoint_every) return edit();
  save_checkpoint();
}

void EditRun::save_checkpoint() {
  if (io::last_live_segment(journal_, std::ssize(journal_.list()) - 1) == 0)
    return edit();  // the weights are the base
  since_checkpoint_ = 0;
  save_index();
  io::remove_old_checkpoints(directory_.checkpoint(), io::edited_layers(journal_), checkpoints_kept);
  ask(sharding::SaveCheckpoint{directory_.checkpoint().string(), journal_.last().header.batch,
                               journal_.last().digest},
      [this](const sharding::Reply&) { edit(); });
}

// A run works without the index, as without checkpoints.
void EditRun::save_index() {
  if (options_.checkpoint_every == 0) return;
  try {
    journal_.save_index();
  } catch (const io::SystemError& error) {
    observer_.warned(
        fmt::format("the journal's index could not be written, the run continues without it: {}", error.what()));
  }
}

void EditRun::finish() {
  result_.stopped = !queue_.empty() || !parts_.empty() || !additions_.empty();
  dismissed_ = true;
  ask(sharding::Stop{}, [this](const sharding::Reply&) {
    stop_watching();
    observer_.finished(result_);
  });
}

// The reply comes on a thread of the workers'; `then` runs on the context's.
void EditRun::ask(sharding::Command command, std::function<void(sharding::Reply)> then) {
  workers_.submit(std::move(command), [this, &context = context_, then](sharding::Reply reply) {
    boost::asio::post(context,
                      [this, then, reply = std::move(reply)]() mutable { step([&] { then(std::move(reply)); }); });
  });
}

// Runs what the context's thread does between two commands. A step that fails is the last one.
void EditRun::step(const std::function<void()>& action) {
  try {
    action();
  } catch (...) {
    stop_watching();
    dismiss_workers();
    throw;
  }
}

void EditRun::commit(sharding::BatchApplied applied, io::GuardRecord guard) {
  for (const auto& part : parts_) guard.pending.push_back(std::ssize(part));
  const double target_norm = applied.target_norm;
  const sharding::ValuesFound values = applied.values;
  std::vector<io::CanaryLook> canaries = std::move(applied.canaries);
  io::BatchSegment segment =
      batch_segment(std::move(applied), std::move(guard), std::ssize(journal_.list()), provenance_);
  BatchReport report = report_of(segment, std::exchange(seconds_, {}));
  report.target_norm = target_norm;
  report.values = values;
  report.canaries = std::move(canaries);
  journal_.append(std::move(segment));
  const auto submitted = std::exchange(submitted_, std::nullopt).value();
  report.seconds.total = std::chrono::duration<double>(Clock::now() - submitted).count();

  ++result_.batches;
  result_.committed += report.committed;
  result_.set_aside.insert(result_.set_aside.end(), report.set_aside.begin(), report.set_aside.end());
  result_.seconds += report.seconds;
  if (!report.drift.empty()) result_.drift = report.drift;
  directory_.append_metrics(metrics_line(report));
  warn_of_values(report);
  observer_.committed(report);
}

// Once: what the settings leave in one batch they leave in all.
void EditRun::warn_of_values(const BatchReport& report) {
  if (warned_of_values_ || !(report.values.match < few_values)) return;
  warned_of_values_ = true;
  observer_.warned(fmt::format(
      "batch {}: even with its values added, before the weights are solved, the model says {:.0f} % of the "
      "targets: more evaluations (v_num_grad_steps, eac_compress_steps), 'v_optimizer: ngd' or a larger "
      "clamp_norm_factor may find the others (docs/hparams.md)",
      report.batch, 100 * report.values.match));
}

// A wait that ended before it was cancelled does not see the cancellation, so `watching_` is checked too.
void EditRun::watch_signals() {
  signals_.async_wait([this](const boost::system::error_code& cancelled, int signal) {
    if (cancelled || !watching_) return;
    if (std::exchange(stopping_, true)) {
      observer_.still_stopping(signal);
    } else {
      observer_.stopping(signal);
      if (std::exchange(waiting_, false)) return finish();
      limit_the_batch();
    }
    watch_signals();
  });
}

void EditRun::limit_the_batch() {
  if (!options_.grace) return;
  grace_.expires_after(std::chrono::duration_cast<Clock::duration>(*options_.grace));
  grace_.async_wait([this](const boost::system::error_code& cancelled) {
    if (cancelled || dismissed_) return;
    throw GraceIsOver(
        fmt::format("the current batch is dropped: it was not finished {:g} s after the signal; "
                    "--resume begins it again",
                    options_.grace->count()));
  });
}

void EditRun::stop_watching() {
  watching_ = false;
  signals_.cancel();
  grace_.cancel();
}

void EditRun::dismiss_workers() {
  if (std::exchange(dismissed_, true)) return;
  workers_.submit(sharding::Stop{}, [](const sharding::Reply&) {});
}

}  // namespace anchorage::coordinator
