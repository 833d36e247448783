#include "worker/batch_record.hpp"

#include "worker/matrix_conversion.hpp"

namespace anchorage::worker {
namespace {

// Spreads rows over all edits: row i of `written` belongs to edit `edit_of_row[i]`; the rows of edits that
// were set aside are zero.
io::Matrix spread_rows(const torch::Tensor& written, const std::vector<std::int32_t>& edit_of_row,
                       std::int64_t edits) {
  auto all = torch::zeros({edits, written.size(1)});
  const auto index = torch::tensor(std::vector<std::int64_t>(edit_of_row.begin(), edit_of_row.end()));
  return to_matrix(all.index_copy(0, index, written.cpu()));
}

// Returns the nonzero entries, by edit.
io::SparseRows to_sparse_rows(const io::Matrix& dense) {
  io::SparseRows rows;
  for (std::int64_t row = 0; row < dense.rows; ++row) {
    for (std::int64_t column = 0; column < dense.columns; ++column) {
      const float value = dense.values[static_cast<std::size_t>(row * dense.columns + column)];
      if (value == 0) continue;
      rows.indices.push_back(static_cast<std::int32_t>(column));
      rows.values.push_back(value);
    }
    rows.offsets.push_back(std::ssize(rows.values));
  }
  return rows;
}

// Spreads rows over all edits: row i of `written` belongs to edit `edit_of_row[i]`; the rows of edits that
// were set aside are empty.
io::SparseRows spread_rows(const io::SparseRows& written, const std::vector<std::int32_t>& edit_of_row,
                           std::int64_t edits) {
  io::SparseRows all{.offsets = {}, .indices = written.indices, .values = written.values};
  std::size_t row = 0;
  for (std::int64_t edit = 0; edit <= edits; ++edit) {
    all.offsets.push_back(written.offsets[row]);
    if (row < edit_of_row.size() && edit_of_row[row] == edit) ++row;
  }
  return all;
}

}  // namespace

sharding::BatchApplied batch_record(const std::vector<io::Edit>& edits, const BatchResult& result) {
  sharding::BatchApplied applied{.edits = {}, .layers = {}, .anchors = {}, .seconds = result.seconds};
  applied.target_norm = result.target_norm;
  applied.values = result.values;
  std::vector<std::int32_t> written;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    const EditOutcome& outcome = result.edits[i];
    const bool refused = !outcome.refusal.empty();
    if (!refused) written.push_back(static_cast<std::int32_t>(i));
    applied.edits.push_back({.id = edits[i].id,
                             .request = io::to_json(edits[i]),
                             .state = refused ? io::EditState::set_aside : io::EditState::committed,
                             .reason = outcome.refusal,
                             .nll_before = outcome.nll_before,
                             .nll_after = outcome.nll_after,
                             .match_before = outcome.match_before,
                             .match_after = outcome.match_after});
  }
  for (const LayerUpdate& update : result.layers) {
    const std::int64_t count = std::ssize(edits);
    applied.layers.push_back({.layer = update.layer,
                              .keys = spread_rows(update.keys, written, count),
                              .residuals = to_sparse_rows(spread_rows(update.residuals, written, count)),
                              .u = to_matrix(update.u),
                              .v = to_matrix(update.v),
                              .edit_of_column = written,
                              .norms = update.norms});
  }
  for (io::AnchorRecord anchors : result.anchors) {
    anchors.chosen = spread_rows(anchors.chosen, written, std::ssize(edits));
    applied.anchors.push_back(std::move(anchors));
  }
  return applied;
}

io::RemovalRecord removal_record(const std::vector<io::RecordedPlace>& edits,
                                 const std::vector<LayerRemoval>& removals) {
  io::RemovalRecord record{.edits = edits, .layers = {}};
  for (const LayerRemoval& removal : removals) {
    record.layers.push_back({.layer = removal.layer,
                             .keys = to_matrix(removal.keys),
                             .u = to_matrix(removal.u),
                             .v = to_matrix(removal.v),
                             .norms = removal.norms});
  }
  return record;
}

}  // namespace anchorage::worker
