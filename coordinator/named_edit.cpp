#include "coordinator/named_edit.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "io/error.hpp"

namespace anchorage::coordinator {
namespace {

using Edits = std::vector<const RecordedEdit*>;

std::string name_with_batch(const RecordedEdit& edit) {
  return fmt::format("{}@{}", edit.edit.id, edit.batch);
}

std::string name_with_row(const RecordedEdit& edit) {
  return fmt::format("{}#{}", name_with_batch(edit), edit.row);
}

// Returns the edits with this id; if there are none, those named ID@BATCH, and then those named ID@BATCH#ROW.
Edits edits_named(const std::string& name, std::span<const RecordedEdit> recorded) {
  Edits by_id, by_batch, by_row;
  for (const RecordedEdit& edit : recorded) {
    if (edit.edit.id == name) by_id.push_back(&edit);
    if (name_with_batch(edit) == name) by_batch.push_back(&edit);
    if (name_with_row(edit) == name) by_row.push_back(&edit);
  }
  return !by_id.empty() ? by_id : !by_batch.empty() ? by_batch : by_row;
}

std::string status_of(const RecordedEdit& edit) {
  if (edit.removed_in) return fmt::format("one that was removed in segment {}", *edit.removed_in);
  if (edit.superseded_in) return fmt::format("one that was superseded in batch {}", *edit.superseded_in);
  return fmt::format("one that was set aside: {}", edit.reason);
}

// "a@3 ('The CEO of Boeing is' -> 'Kelly Ortberg')", with the row where the batch has several.
std::string name_of(const RecordedEdit& edit, const Edits& among) {
  const auto in_batch = std::ranges::count(among, edit.batch, &RecordedEdit::batch);
  return fmt::format("{} ('{}' -> '{}')", in_batch == 1 ? name_with_batch(edit) : name_with_row(edit),
                     edit.edit.filled_prompt(), edit.edit.target);
}

}  // namespace

io::RecordedPlace live_edit(const std::string& name, std::span<const RecordedEdit> recorded,
                            const std::string& where) {
  const Edits named = edits_named(name, recorded);
  Edits live;
  std::ranges::copy_if(named, std::back_inserter(live), &RecordedEdit::is_live);
  if (live.size() == 1) return live.front()->place();
  if (live.empty()) {
    throw io::UserError({.expected = fmt::format("a live edit '{}'", name),
                         .found = named.empty() ? "no edit of this id" : status_of(*named.back()),
                         .where = where,
                         .remedy = "'anchorage journal show RUN --batch N' has the ids of a batch"});
  }
  std::vector<std::string> all;
  for (const RecordedEdit* edit : live) all.push_back(name_of(*edit, live));
  throw io::UserError({.expected = fmt::format("one live edit '{}'", name),
                       .found = fmt::format("{}: {}", all.size(), fmt::join(all, ", ")),
                       .where = where,
                       .remedy = "name the one that is meant as it is listed here"});
}

}  // namespace anchorage::coordinator
