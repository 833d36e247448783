// For the sources of io/run/journal alone: the names and numbers that the writer and the reader of a segment share.
#pragma once

#include <string>

#include "io/run/journal/segment.hpp"

namespace anchorage::io::layout {

inline const std::string schema = "anchorage-segment/2";
// Of versions before an update had a kind: all of its updates are low-rank. Read as it is.
inline const std::string schema_without_update_kinds = "anchorage-segment/1";

// What is wrong with the rows, or nothing. `rows` is how many there should be.
std::string diagnostic_of(const SparseRows& sparse, std::size_t rows);

// What in the segment's parts does not fit together, or nothing.
std::string diagnostic_of(const BatchSegment& segment);

}  // namespace anchorage::io::layout
