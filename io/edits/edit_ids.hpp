// An id names one fact in a run: `remove` takes the id to remove the fact.
#pragma once

#include "io/edits/reader.hpp"

namespace anchorage::io {

// Sets aside each edit whose id an earlier edit uses for another subject or prompt; the reason names the
// places of both. A repeated fact, and a new target for the same subject and prompt, may keep the earlier
// edit's id.
void set_aside_shared_ids(EditsFile& file);

}  // namespace anchorage::io
