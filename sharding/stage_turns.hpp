// The order in which a stage of a pipeline takes groups forward and backward. Pure arithmetic, the same for the
// engine and for the plan that simulates it.
//
// Groups go through the stages without rounds. Some of them are in flight, each in a slot; a slot takes the
// replica's next group when its own is done. Evaluation q of slot j is forward through all stages and backward
// through all of them; the next one begins when it has ended. Every stage alternates between the forward pass of
// one slot and the backward pass of another: in the order that they would have in a pipeline whose stages all take
// one unit of time for either, and whose messages take h. There evaluation q of slot j begins at
//
//   T(q, j) = 2 j + 2 q max(G, S)        S: stages, G: slots
//
// goes forward through stage s at T + s (1 + h) and backward at T + 2 S - 1 - s + (2 S - 2 - s) h. With h = 1 / (S
// - 1) one group more than stages is in flight where there are that many slots, so that a stage that is a little
// late keeps no other waiting; otherwise h = 0. The order is fixed, so stages wait for messages and never choose,
// and the bits stay; and since it is that of a pipeline, they never wait for each other in a circle, whatever their
// passes take. The last stage goes backward as soon as it has gone forward.
#pragma once

#include <cstdint>

namespace anchorage::sharding {

enum class Direction { forward, backward };

struct Turn {
  Direction direction = Direction::forward;
  std::int64_t slot = 0;
  std::int64_t evaluation = 0;  // of the slot, over all its groups

  bool operator==(const Turn&) const = default;
};

class StageTurns {
 public:
  // Throws InternalError unless 0 <= stage < stages and 1 <= slots.
  StageTurns(int stage, int stages, std::int64_t slots);

  // Returns the next turn, without end. Whoever takes the turns passes over a slot that has no group left.
  Turn next();

 private:
  std::int64_t slots_;
  std::int64_t unit_ = 1, forward_delay_ = 0, backward_delay_ = 0, period_ = 0;
  std::int64_t forward_ = 0, backward_ = 0;  // evaluations of all slots so far: q G + j
};

// Returns how many groups a stage has taken forward and not yet backward, at most: whose activations it holds.
[[nodiscard]] std::int64_t groups_held(int stage, int stages, std::int64_t slots);

}  // namespace anchorage::sharding
