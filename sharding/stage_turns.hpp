// The order in which a stage of a pipeline takes groups forward and backward. Pure arithmetic, the same for the engine
// and for the plan that simulates it.
//
// Groups go through the stages without rounds. Some of them are in flight, each in a slot; a slot takes the replica's
// next group when its own is done. An evaluation of a slot is forward through all stages and backward through all of
// them; the slot's next one begins when it has ended. All stages go forward with the evaluations of all slots in one
// order, evaluation q of slot j as number n = q G + j, and backward in the same order. Stage s first goes forward W_s
// times, then backward and forward by turns:
//
//   W_s = max(1, G - s), and 1 on the last stage     S: stages, G: slots
//
// S slots would do for stages that are all equally fast. The others wait before the last stage, which has the head, and
// keep it at work when a turn before it takes longer than usual. The order is fixed, so stages wait for messages and
// never choose; and since no stage is further ahead of its backward passes than the one before it, they never wait for
// each other in a circle, whatever their passes take.
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

  // Returns the next turn, without end. A slot that has no group left is passed over by whoever takes the turns.
  Turn next();

 private:
  std::int64_t slots_, ahead_;
  std::int64_t forward_ = 0, backward_ = 0;  // evaluations of all slots so far: q G + j
};

// Returns how many groups a stage has taken forward and not yet backward, at most: whose activations it holds.
[[nodiscard]] std::int64_t groups_held(int stage, int stages, std::int64_t slots);

}  // namespace anchorage::sharding
