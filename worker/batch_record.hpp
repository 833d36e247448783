// Converts what a batch did to the form that the journal keeps.
#pragma once

#include <vector>

#include "io/edits/edit.hpp"
#include "io/run/journal/segment.hpp"
#include "sharding/protocol/command.hpp"
#include "worker/editing/batch_editor.hpp"
#include "worker/editing/update/layer_solver.hpp"

namespace anchorage::worker {

// Makes the reply to ApplyBatch without removed edits and held-out loss: one record per edit, in order, the
// layers' updates and the anchors.
sharding::BatchApplied batch_record(const std::vector<io::Edit>& edits, const BatchResult& result);

// Makes the record of the removal of these edits.
io::RemovalRecord removal_record(const std::vector<io::RecordedPlace>& edits,
                                 const std::vector<LayerRemoval>& removals);

}  // namespace anchorage::worker
