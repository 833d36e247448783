// Batches as workers would hand them to the coordinator, but small: two layers of width 8, two edits.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/batch_report.hpp"
#include "io/edits/edit.hpp"
#include "io/run/checkpoint.hpp"
#include "sharding/protocol/command.hpp"

namespace anchorage::bench {

inline constexpr std::int64_t edits_of_a_batch = 2, width = 8;
inline constexpr std::int64_t layers[] = {4, 10};

inline coordinator::Provenance provenance() {
  return {.version = "0.1.0", .world = 1, .seed = 1};
}

inline io::BaseRecord base_record() {
  io::BaseRecord base{
      .model = "m", .tokenizer = "t", .statistics = "s", .hparams = "layers: [4, 10]\n", .layers = {}};
  for (const std::int64_t layer : layers) {
    base.layers.push_back({.layer = layer,
                           .weight = fmt::format("layers.{}.down", layer),
                           .rows = width,
                           .columns = width,
                           .norm = 8});
  }
  return base;
}

inline io::Matrix matrix(std::int64_t rows, std::int64_t columns, float first) {
  io::Matrix filled{rows, columns, std::vector<float>(static_cast<std::size_t>(rows * columns))};
  for (float& value : filled.values) value = first = 3.7F * first * (1 - first);  // between 0 and 1
  return filled;
}

// The edits of batch `number`: facts that no other batch has.
inline std::vector<io::Edit> edits_of(std::int64_t number) {
  std::vector<io::Edit> edits;
  for (std::int64_t i = 0; i < edits_of_a_batch; ++i) {
    edits.push_back({.id = fmt::format("night-{}-{}", number, i),
                     .subject = fmt::format("City {} of {}", i, number),
                     .prompt = "The mayor of {} is",
                     .target = fmt::format("Ada {}", number)});
  }
  return edits;
}

inline sharding::BatchApplied applied_batch(const sharding::ApplyBatch& command) {
  const std::int64_t count = std::ssize(command.edits);
  sharding::BatchApplied applied;
  applied.heldout_loss = {.name = "held-out loss", .before = 3, .after = 3.01};
  for (const io::Edit& edit : command.edits) {
    applied.edits.push_back({.id = edit.id,
                             .request = io::to_json(edit),
                             .reason = {},
                             .nll_before = 9,
                             .nll_after = 0.5,
                             .match_after = true});
  }
  applied.removal.edits = command.superseded.edits;
  for (const std::int64_t number : layers) {
    io::LayerRecord layer{.layer = number,
                          .keys = matrix(count, width, 0.1F),
                          .residuals = {},
                          .u = matrix(width, count, 0.2F),
                          .v = matrix(width, count, 0.3F),
                          .edit_of_column = {},
                          .norms = {.update = 1, .total = 2, .base = 8}};
    for (std::int32_t edit = 0; edit < static_cast<std::int32_t>(count); ++edit) {
      layer.residuals.indices.push_back(edit % static_cast<std::int32_t>(width));
      layer.residuals.values.push_back(0.5F);
      layer.residuals.offsets.push_back(edit + 1);
      layer.edit_of_column.push_back(edit);
    }
    applied.layers.push_back(std::move(layer));
    const auto removed = std::ssize(applied.removal.edits);
    if (removed == 0) continue;
    applied.removal.layers.push_back({.layer = number,
                                      .keys = matrix(removed, width, 0.4F),
                                      .u = matrix(width, removed, 0.5F),
                                      .v = matrix(width, removed, 0.6F),
                                      .norms = {.update = 1, .total = 2, .base = 8}});
  }
  return applied;
}

inline void write_checkpoint(const io::CheckpointName& checkpoint) {
  for (const std::int64_t layer : layers) {
    io::write_checkpoint_slab(checkpoint, layer, 0, std::vector<double>(width * width, 1), width);
    io::write_checkpoint_layer(checkpoint, io::CheckpointLayer{.layer = layer,
                                                               .weight = matrix(width, width, 0.1F),
                                                               .image = std::vector<double>(width, 1),
                                                               .fresh_drift = 0,
                                                               .slabs = {0}});
  }
}

}  // namespace anchorage::bench
