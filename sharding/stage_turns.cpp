#include "sharding/stage_turns.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "io/error.hpp"

namespace anchorage::sharding {

StageTurns::StageTurns(int stage, int stages, std::int64_t slots)
    : slots_(slots), ahead_(groups_held(stage, stages, slots)) {
  io::check(0 <= stage && stage < stages && slots > 0,
            fmt::format("stage {} of {}, with {} slots", stage, stages, slots));
}

Turn StageTurns::next() {
  const bool forward = forward_ < backward_ + ahead_;
  const std::int64_t number = forward ? forward_++ : backward_++;
  return {.direction = forward ? Direction::forward : Direction::backward,
          .slot = number % slots_,
          .evaluation = number / slots_};
}

std::int64_t groups_held(int stage, int stages, std::int64_t slots) {
  return stage == stages - 1 ? 1 : std::max<std::int64_t>(1, slots - stage);
}

}  // namespace anchorage::sharding
