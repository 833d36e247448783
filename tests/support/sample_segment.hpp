// A segment with something in every field, whose numbers follow from its batch.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "io/run/journal/segment.hpp"

namespace anchorage::tests {

inline io::Matrix sample_matrix(std::int64_t rows, std::int64_t columns, double start) {
  io::Matrix matrix{.rows = rows, .columns = columns, .values = {}};
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    matrix.values.push_back(static_cast<float>(std::sin(start + static_cast<double>(i))));
  }
  return matrix;
}

inline io::BatchSegment sample_batch(std::int64_t batch, std::int64_t f = 6, std::int64_t d = 4) {
  io::BatchSegment segment;
  segment.header = {.kind = io::SegmentKind::batch,
                    .batch = batch,
                    .previous = "",
                    .utc = "2026-11-23T07:00:00Z",
                    .version = "0.1.0",
                    .world = 2,
                    .seed = -7};
  segment.edits = {{.id = "ceo-1",
                    .request = R"({"subject": "Zürich", "target": "東京 🙂"})",
                    .state = io::EditState::committed,
                    .reason = "",
                    .nll_before = 9.25,
                    .nll_after = 0.125,
                    .match_before = false,
                    .match_after = true},
                   {.id = "a much longer id than the first",
                    .request = "{}",
                    .state = io::EditState::set_aside,
                    .reason = "the held-out loss rose by 0.2",
                    .nll_before = 3,
                    .nll_after = 4,
                    .match_before = true,
                    .match_after = false}};
  for (const std::int64_t layer : {4, 10}) {
    const auto start = static_cast<double>(10 * batch + layer);
    segment.layers.push_back({.layer = layer,
                              .keys = sample_matrix(2, f, start),
                              .residuals = {.offsets = {0, 2, 2}, .indices = {1, 3}, .values = {0.5F, -0.25F}},
                              .u = sample_matrix(d, 3, start + 1),
                              .v = sample_matrix(f, 3, start + 2),
                              .edit_of_column = {0, 0, 1},
                              .norms = {.update = 0.1, .total = 0.2, .base = start}});
    segment.anchors.push_back({.layer = layer,
                               .chosen = {.offsets = {0, 1, 3}, .indices = {2, 0, 3}, .values = {1, 2, 3}},
                               .rolling = {0.1, 0.2, 0.3, start},
                               .kept = 5,
                               .entered = 6,
                               .left = 7});
  }
  segment.guard = {.probes = {{.name = "held-out loss", .before = 3.5, .after = 3.75}},
                   .decision = "accepted",
                   .pending = {2, 4}};
  return segment;
}

inline io::BatchSegment sample_base() {
  io::BatchSegment segment;
  segment.header = {.kind = io::SegmentKind::base,
                    .batch = 0,
                    .previous = "",
                    .utc = "2026-11-23T06:59:00Z",
                    .version = "0.1.0",
                    .world = 1,
                    .seed = 1};
  segment.base = io::BaseRecord{
      .model = "aa",
      .tokenizer = "bb",
      .statistics = "cc",
      .hparams = "layers: [4, 10]\n",
      .layers = {
          {.layer = 4, .weight = "model.layers.4.mlp.down_proj.weight", .rows = 4, .columns = 6, .norm = 12.5}}};
  return segment;
}

// Removes the first edit of segment 1.
inline io::BatchSegment sample_removal(std::int64_t number, std::int64_t f = 6, std::int64_t d = 4) {
  io::BatchSegment segment;
  segment.header = sample_batch(number).header;
  segment.header.kind = io::SegmentKind::removal;
  segment.removal.edits = {{.id = "ceo-1", .segment = 1, .edit = 0}};
  for (const std::int64_t layer : {4, 10}) {
    const auto start = static_cast<double>(20 * number + layer);
    segment.removal.layers.push_back({.layer = layer,
                                      .keys = sample_matrix(1, f, start),
                                      .u = sample_matrix(d, 1, start + 1),
                                      .v = sample_matrix(f, 1, start + 2),
                                      .norms = {.update = 0.05, .total = 0.15, .base = start}});
  }
  return segment;
}

inline io::BatchSegment sample_rollback(std::int64_t number, std::int64_t to) {
  io::BatchSegment segment;
  segment.header = sample_batch(number).header;
  segment.header.kind = io::SegmentKind::rollback;
  segment.header.rollback_to = to;
  return segment;
}

}  // namespace anchorage::tests
