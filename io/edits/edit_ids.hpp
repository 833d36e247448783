// An id names one fact in a run: it is what takes the fact back.
#pragma once

#include "io/edits/reader.hpp"

namespace anchorage::io {

// Sets each edit aside whose id an earlier one has for another subject or prompt, with the places of both. The same
// fact again is a repetition, and another target for the same subject and prompt is the fact's later word: both may
// have the earlier one's id.
void set_aside_shared_ids(EditsFile& file);

}  // namespace anchorage::io
