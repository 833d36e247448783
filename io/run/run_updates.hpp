// The changes that the committed segments of a run made to the weights, step by step.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "io/matrix.hpp"
#include "io/run/journal/journal.hpp"

namespace anchorage::io {

// One step of one layer in a committed segment: W <- W + u v^T.
struct RunUpdate {
  std::int64_t layer;
  Matrix u;  // [d, r]
  Matrix v;  // [f, r]
};

// The steps of segments, in their order. They are read one by one while they are visited, since those of a
// long run do not fit in memory.
class RunUpdates {
 public:
  explicit RunUpdates(std::vector<JournalEntry> segments) : segments_(std::move(segments)) {}

  std::vector<std::int64_t> layers() const;  // with steps, ascending

  // Calls `visit` with each step; does not read those of layers that are not `wanted`.
  void for_each(
      const std::function<void(const RunUpdate&)>& visit,
      const std::function<bool(std::int64_t)>& wanted = [](std::int64_t) { return true; }) const;

 private:
  std::vector<JournalEntry> segments_;
};

// Throws UserError when the journal has no segment of this number. `where` names the run in the message.
void require_segment(const Journal& journal, std::int64_t number, const std::string& where);

}  // namespace anchorage::io
