#include "sharding/stage_turns.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "io/error.hpp"

namespace anchorage::sharding {

StageTurns::StageTurns(int stage, int stages, std::int64_t slots) : stage_(stage), stages_(stages), slots_(slots) {
  io::check(0 <= stage && stage < stages && slots > 0,
            fmt::format("stage {} of {}, with {} slots", stage, stages, slots));
}

// A stage goes forward at times of one parity and backward at those of the other: none are equal.
Turn StageTurns::next() {
  const auto begin_of = [this](std::int64_t position) {
    return 2 * (position % slots_) + 2 * (position / slots_) * std::max<std::int64_t>(slots_, stages_);
  };
  const bool forward = begin_of(forward_) + stage_ < begin_of(backward_) + 2 * stages_ - 1 - stage_;
  const std::int64_t position = forward ? forward_++ : backward_++;
  return {.direction = forward ? Direction::forward : Direction::backward,
          .slot = position % slots_,
          .evaluation = position / slots_};
}

std::int64_t groups_held(int stage, int stages, std::int64_t slots) {
  return std::min<std::int64_t>(slots, stages - stage);
}

}  // namespace anchorage::sharding
