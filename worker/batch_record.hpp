// What a batch did, in the form in which the journal keeps it.
#pragma once

#include <vector>

#include "io/edits/edit.hpp"
#include "io/run/journal/segment.hpp"
#include "sharding/protocol/command.hpp"
#include "worker/editing/batch_editor.hpp"
#include "worker/editing/update/layer_solver.hpp"

namespace anchorage::worker {

// The reply to ApplyBatch but for removed edits and the held-out loss: one record an edit, in their order, the
// layers' updates and anchors.
sharding::BatchApplied batch_record(const std::vector<io::Edit>& edits, const BatchResult& result);

// The removal of these edits.
io::RemovalRecord removal_record(const std::vector<io::RecordedPlace>& edits,
                                 const std::vector<LayerRemoval>& removals);

}  // namespace anchorage::worker
