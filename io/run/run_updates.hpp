// What the committed segments of a run did to the weights, step by step.
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

// The steps of segments, in their order. They are read while they are visited, one after the other: those of a long
// run do not fit in memory.
class RunUpdates {
 public:
  explicit RunUpdates(std::vector<JournalEntry> segments) : segments_(std::move(segments)) {}

  std::vector<std::int64_t> layers() const;  // that have steps, ascending

  // Calls `visit` with each step; those of layers that are not `wanted` are not read.
  void for_each(
      const std::function<void(const RunUpdate&)>& visit,
      const std::function<bool(std::int64_t)>& wanted = [](std::int64_t) { return true; }) const;

 private:
  std::vector<JournalEntry> segments_;
};

// Throws io::UserError when the journal has no segment of this number. `where`: the run, for the message.
void require_segment(const Journal& journal, std::int64_t number, const std::string& where);

}  // namespace anchorage::io
