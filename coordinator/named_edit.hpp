// An edit of a run as people name it: ID, or where several edits of that id stand ID@BATCH, or where even those do
// ID@BATCH#ROW, with the row from 0 among the batch's edits. An id may contain these characters: where an edit has
// the whole name as its id, that is meant.
#pragma once

#include <span>
#include <string>

#include "coordinator/recorded_edits.hpp"

namespace anchorage::coordinator {

// The place of the one edit of that name that is_live. Throws io::UserError where there is none, with what became
// of the last one, and where there are several, with a name for each. `where` is the run, for messages.
io::RecordedPlace live_edit(const std::string& name, std::span<const RecordedEdit> recorded,
                            const std::string& where);

}  // namespace anchorage::coordinator
