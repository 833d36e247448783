// For the sources of io/run/journal alone: the names and numbers that the writer and the reader of a segment share.
#pragma once

#include <string>

#include "io/run/journal/segment.hpp"

namespace anchorage::io::layout {

inline const std::string schema = "anchorage-segment/2";
// The schema of versions before updates had a kind: all of its updates are low-rank. It is still read.
inline const std::string schema_without_update_kinds = "anchorage-segment/1";

// Says what is wrong with the rows, or "". `rows` is how many there should be.
std::string diagnostic_of(const SparseRows& sparse, std::size_t rows);

// Says which of the segment's parts do not fit together, or "".
std::string diagnostic_of(const BatchSegment& segment);

}  // namespace anchorage::io::layout
