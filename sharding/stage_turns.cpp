#include "sharding/stage_turns.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

// Times are in parts of a unit, S - 1 of them or one, so that they are whole: then h is one part or none.
struct Parts {
  std::int64_t unit, hop;
};

Parts parts_of(int stages, std::int64_t slots) {
  if (stages == 1) return {.unit = 1, .hop = 0};
  return {.unit = stages - 1, .hop = slots > stages ? 1 : 0};
}

// From the beginning of an evaluation until a stage goes forward, and until it goes backward.
std::int64_t forward_delay(int stage, const Parts& parts) {
  return stage * (parts.unit + parts.hop);
}

std::int64_t backward_delay(int stage, int stages, const Parts& parts) {
  return (2 * stages - 1 - stage) * parts.unit + (2 * stages - 2 - stage) * parts.hop;
}

}  // namespace

StageTurns::StageTurns(int stage, int stages, std::int64_t slots) : slots_(slots) {
  io::check(0 <= stage && stage < stages && slots > 0,
            fmt::format("stage {} of {}, with {} slots", stage, stages, slots));
  const Parts parts = parts_of(stages, slots);
  unit_ = parts.unit;
  forward_delay_ = forward_delay(stage, parts);
  backward_delay_ = backward_delay(stage, stages, parts);
  period_ = 2 * std::max<std::int64_t>(slots, stages) * unit_;
}

Turn StageTurns::next() {
  const auto begin_of = [this](std::int64_t position) {
    return 2 * (position % slots_) * unit_ + position / slots_ * period_;
  };
  const bool forward = begin_of(forward_) + forward_delay_ < begin_of(backward_) + backward_delay_;
  const std::int64_t position = forward ? forward_++ : backward_++;
  return {.direction = forward ? Direction::forward : Direction::backward,
          .slot = position % slots_,
          .evaluation = position / slots_};
}

// An evaluation begins every two units.
std::int64_t groups_held(int stage, int stages, std::int64_t slots) {
  const Parts parts = parts_of(stages, slots);
  const std::int64_t between = backward_delay(stage, stages, parts) - forward_delay(stage, parts);
  return std::min(slots, (between + 2 * parts.unit - 1) / (2 * parts.unit));
}

}  // namespace anchorage::sharding
