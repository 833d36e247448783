// Resolves the name of an edit of a run: ID, or where several edits with that id are live ID@BATCH, or where
// a batch has several ID@BATCH#ROW, with the row counted from 0 among the batch's edits. An id may contain
// these characters: where an edit has the whole name as its id, the name means that edit.
#pragma once

#include <span>
#include <string>

#include "coordinator/recorded_edits.hpp"

namespace anchorage::coordinator {

// Returns the place of the one live edit of that name. Throws io::UserError where there is none, saying what
// happened to the last one, and where there are several, giving a name for each. `where` names the run in
// messages.
io::RecordedPlace live_edit(const std::string& name, std::span<const RecordedEdit> recorded,
                            const std::string& where);

}  // namespace anchorage::coordinator
