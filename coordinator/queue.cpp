#include "coordinator/queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <unordered_set>
#include <utility>

#include "io/edits/edit_ids.hpp"
#include "io/error.hpp"

namespace anchorage::coordinator {
namespace {

constexpr std::pair<OnConflict, std::string_view> policies[] = {
    {OnConflict::supersede, "supersede"}, {OnConflict::refuse, "refuse"}, {OnConflict::keep_both, "keep-both"}};

// Edits with the same subject and prompt ask the same question; the target is the answer.
using Question = std::pair<std::string_view, std::string_view>;

Question question_of(const io::Edit& edit) {
  return {edit.subject, edit.prompt};
}

using LiveIds = std::multimap<std::string_view, const RecordedEdit*>;

// Returns those that the edits have.
LiveIds live_ids(std::span<const RecordedEdit> recorded, std::span<const io::Edit> edits) {
  std::unordered_set<std::string_view> ids;
  for (const io::Edit& edit : edits) ids.insert(edit.id);
  LiveIds live;
  for (const RecordedEdit& record : recorded) {
    if (record.is_live() && ids.contains(record.edit.id)) live.emplace(record.edit.id, &record);
  }
  return live;
}

// Returns the live edit that has this edit's id for another question; null where there is none.
const RecordedEdit* holder_of_id(const LiveIds& live, const io::Edit& edit) {
  const auto [begin, end] = live.equal_range(edit.id);
  const auto asks_the_same = [&](const auto& entry) { return entry.second->edit.asks_the_same_as(edit); };
  return begin == end || std::any_of(begin, end, asks_the_same) ? nullptr : begin->second;
}

std::string why_not_approved(const io::Edit& edit) {
  return fmt::format("proposed, but {}: 'anchorage approve' approves it",
                     edit.approved_by.empty() ? "approved by nobody"
                                              : fmt::format("approved by its author, {}, alone", edit.author));
}

// Returns those of the file's first `count` edits that are approved, where they have to be, and whose id no live
// edit uses for another question.
std::vector<io::Edit> with_own_ids(const io::EditsFile& file, std::size_t count,
                                   std::span<const RecordedEdit> recorded, const QueueOptions& options,
                                   QueueFindings& findings) {
  const LiveIds live = live_ids(recorded, std::span(file.edits).first(count));
  std::vector<io::Edit> edits;
  for (std::size_t i = 0; i < count; ++i) {
    if (options.require_approval && !file.edits[i].is_approved()) {
      findings.set_aside.push_back({file.edits[i].id, why_not_approved(file.edits[i])});
      continue;
    }
    const RecordedEdit* holder = holder_of_id(live, file.edits[i]);
    if (holder == nullptr) {
      edits.push_back(file.edits[i]);
      continue;
    }
    const io::Diagnostic diagnostic{
        .expected = "only edits with ids of their own (--strict)",
        .found = fmt::format("id '{}' is that of another fact, '{}' -> '{}', committed in batch {}",
                             holder->edit.id, holder->edit.filled_prompt(), holder->edit.target, holder->batch),
        .where = file.places.at(i),
        .remedy = "give it one of its own, or remove that one first"};
    if (options.strict) throw io::UserError(diagnostic);
    findings.set_aside.push_back({diagnostic.where, fmt::format("{}; {}", diagnostic.found, diagnostic.remedy)});
  }
  return edits;
}

// Settles questions that the file answers more than once: keeps the last answer (supersede), the first
// (refuse), or all different answers (keep_both), each at its first place in the file.
std::vector<io::Edit> settle(std::span<const io::Edit> edits, OnConflict policy, QueueFindings& findings) {
  std::map<Question, const io::Edit*> word;
  for (const io::Edit& edit : edits) {
    const auto [entry, first] = word.try_emplace(question_of(edit), &edit);
    if (!first && policy == OnConflict::supersede) entry->second = &edit;
  }
  std::vector<io::Edit> settled;
  std::map<Question, std::vector<std::string_view>> answers;
  for (const io::Edit& edit : edits) {
    const io::Edit& settling = *word.at(question_of(edit));
    std::vector<std::string_view>& given = answers[question_of(edit)];
    if (std::ranges::count(given, edit.target) > 0) {
      ++findings.repeated;
      continue;
    }
    if (edit.target != settling.target) {
      const bool is_earlier = policy == OnConflict::supersede;
      Conflict conflict{.earlier = is_earlier ? edit : settling,
                        .later = is_earlier ? settling : edit,
                        .committed_in = {},
                        .policy = policy};
      if (policy == OnConflict::refuse) {
        findings.set_aside.push_back({edit.id, conflict.text()});
      } else {
        findings.conflicts.push_back(std::move(conflict));
      }
      if (policy != OnConflict::keep_both) continue;
    }
    given.push_back(edit.target);
    settled.push_back(edit);
  }
  return settled;
}

// What the journal has on one question.
struct QuestionHistory {
  std::vector<const RecordedEdit*> committed{};              // live edits; the last one's answer is current
  std::map<std::string_view, const RecordedEdit*> latest{};  // newest record of each answer, live or not
};

// Returns that of the edits' questions, and of others about their subjects. Where a live answer replaces others,
// the earlier records no longer count: those answers may be given again.
std::map<Question, QuestionHistory> history_of(std::span<const RecordedEdit> recorded,
                                               std::span<const io::Edit> edits, OnConflict policy) {
  std::unordered_set<std::string_view> subjects;
  for (const io::Edit& edit : edits) subjects.insert(edit.subject);
  std::map<Question, QuestionHistory> history;
  for (const RecordedEdit& record : recorded) {
    if (!subjects.contains(record.edit.subject)) continue;
    QuestionHistory& now = history[question_of(record.edit)];
    if (record.is_live()) {
      now.committed.push_back(&record);
      if (policy != OnConflict::keep_both) now.latest.clear();
    }
    now.latest[record.edit.target] = &record;
  }
  return history;
}

// Returns the newest record of the edit's own answer, if any.
const RecordedEdit* latest_of(const QuestionHistory& history, const io::Edit& edit) {
  const auto entry = history.latest.find(edit.target);
  return entry == history.latest.end() ? nullptr : entry->second;
}

bool answers(const RecordedEdit* record, const io::Edit& edit) {
  return record->edit.target == edit.target;
}

bool is_committed(const QuestionHistory& history, const io::Edit& edit, OnConflict policy) {
  if (history.committed.empty()) return false;
  if (policy != OnConflict::keep_both) return answers(history.committed.back(), edit);
  return std::ranges::any_of(history.committed, [&](const RecordedEdit* record) { return answers(record, edit); });
}

std::vector<io::RecordedPlace> places_of(const std::vector<const RecordedEdit*>& records) {
  std::vector<io::RecordedPlace> places;
  for (const RecordedEdit* record : records) places.push_back(record->place());
  return places;
}

}  // namespace

std::string name_of(OnConflict policy) {
  for (const auto& [value, name] : policies) {
    if (value == policy) return std::string(name);
  }
  throw io::InternalError("unknown policy for conflicts");
}

OnConflict conflict_policy_named(std::string_view name) {
  for (const auto& [value, known] : policies) {
    if (known == name) return value;
  }
  throw io::UserError({.expected = "supersede, refuse or keep-both",
                       .found = fmt::format("'{}'", name),
                       .where = "--on-conflict",
                       .remedy = ""});
}

std::string Conflict::text() const {
  const std::string where =
      committed_in ? fmt::format("committed in batch {}", *committed_in) : "earlier in the file";
  const char* relation = policy == OnConflict::supersede   ? "replaces"
                         : policy == OnConflict::keep_both ? "is written beside"
                                                           : "contradicts";
  return fmt::format("edit {} ('{}' -> '{}') {} edit {} (-> '{}'), {}", later.id, later.filled_prompt(),
                     later.target, relation, earlier.id, earlier.target, where);
}

Queue::Queue(const io::EditsFile& file, std::span<const RecordedEdit> recorded, const QueueOptions& options)
    : batch_size_(options.batch_size), options_(options) {
  io::check(batch_size_ > 0, "a batch of no edits");
  for (const io::Rejected& rejected : file.rejected)
    findings_.set_aside.push_back({rejected.where, rejected.reason});

  const std::size_t count =
      options.limit ? std::min(file.edits.size(), static_cast<std::size_t>(*options.limit)) : file.edits.size();
  const auto edits = with_own_ids(file, count, recorded, options, findings_);
  const auto history = history_of(recorded, edits, options.on_conflict);
  for (const io::Edit& edit : settle(edits, options.on_conflict, findings_)) {
    const auto entry = history.find(question_of(edit));
    const QuestionHistory found = entry == history.end() ? QuestionHistory{} : entry->second;
    const RecordedEdit* latest = latest_of(found, edit);
    if (latest != nullptr && latest->state == io::EditState::set_aside) {
      findings_.set_aside.push_back({edit.id, fmt::format("batch {}: {}", latest->batch, latest->reason)});
    } else if (is_committed(found, edit, options.on_conflict)) {
      ++findings_.already_committed;
    } else if (latest != nullptr && latest->removed_in) {
      findings_.removed.push_back(*latest);
    } else if (found.committed.empty()) {
      edits_.push_back({.edit = edit});
    } else {
      Conflict conflict{found.committed.back()->edit, edit, found.committed.back()->batch, options.on_conflict};
      if (options.on_conflict == OnConflict::refuse) {
        findings_.set_aside.push_back({edit.id, conflict.text()});
        continue;
      }
      findings_.conflicts.push_back(std::move(conflict));
      const bool supersedes = options.on_conflict == OnConflict::supersede;
      edits_.push_back({edit, supersedes ? places_of(found.committed) : std::vector<io::RecordedPlace>()});
    }
  }
}

QueueFindings Queue::add(const io::EditsFile& file, std::span<const RecordedEdit> recorded) {
  io::check(file.places.size() == file.edits.size(), "added edits, each with its place");
  io::EditsFile all{.format = file.format, .edits = {}, .rejected = file.rejected};
  for (const QueuedEdit& queued : edits_) {
    all.edits.push_back(queued.edit);
    all.places.emplace_back("queued before");
  }
  all.edits.insert(all.edits.end(), file.edits.begin(), file.edits.end());
  all.places.insert(all.places.end(), file.places.begin(), file.places.end());
  io::set_aside_shared_ids(all);
  QueueOptions options = options_;
  options.limit.reset();
  Queue merged(all, recorded, options);
  edits_ = std::move(merged.edits_);
  return std::move(merged.findings_);
}

std::vector<QueuedEdit> Queue::take(std::int64_t count) {
  const auto end = edits_.begin() + std::min(count, edits());
  std::vector<QueuedEdit> batch(std::move_iterator(edits_.begin()), std::move_iterator(end));
  edits_.erase(edits_.begin(), end);
  return batch;
}

}  // namespace anchorage::coordinator
