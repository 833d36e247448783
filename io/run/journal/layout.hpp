// For the sources of io/journal alone: the names and numbers that the writer and the reader of a segment share.
#pragma once

#include <string>

#include "io/run/journal/segment.hpp"

namespace anchorage::io::layout {

inline const std::string schema = "anchorage-segment/1";

// What is wrong with the rows, or nothing. `rows` is how many there should be.
std::string complaint_about(const SparseRows& sparse, std::size_t rows);

// What in the segment's parts does not fit together, or nothing.
std::string complaint_about(const BatchSegment& segment);

}  // namespace anchorage::io::layout
