#include "coordinator/pipeline_schedule.hpp"

#include <algorithm>
#include <numeric>
#include <optional>

#include "io/error.hpp"
#include "sharding/stage_turns.hpp"

namespace anchorage::coordinator {
namespace {

using sharding::Direction;
using sharding::StageTurns;
using sharding::Turn;

// Runs all stages, each through its own turns, as soon as what it waits for is there. Evaluation n E + e of slot j
// is evaluation e of the slot's n-th group, which is group n G + j of the replica. There is at least one group.
class Simulation {
 public:
  Simulation(const StepPipeline& pipeline, Boxes boxes)
      : pipeline_(pipeline),
        stages_(static_cast<int>(pipeline.stages.size())),
        slots_(std::min(pipeline.in_flight, pipeline.groups)),
        positions_((pipeline.groups + slots_ - 1) / slots_ * pipeline.evaluations * slots_),
        records_(boxes == Boxes::recorded) {
    const std::vector<double> never(static_cast<std::size_t>(positions_), unknown);
    for (int stage = 0; stage < stages_; ++stage) {
      workers_.push_back({.turns = StageTurns(stage, stages_, slots_),
                          .turn = {},
                          .forward_end = never,
                          .backward_end = never,
                          .setup_end = never});
      workers_.back().turn = workers_.back().turns.next();
    }
  }

  Timeline run() {
    for (bool progress = true; progress;) {
      progress = false;
      for (int stage = 0; stage < stages_; ++stage) progress |= advance(stage);
    }
    for (const Worker& worker : workers_) {
      io::check(worker.backward == positions_, "the stages wait for each other");
      timeline_.makespan = std::max(timeline_.makespan, worker.now);
    }
    return std::move(timeline_);
  }

 private:
  static constexpr double unknown = -1;

  struct Worker {
    StageTurns turns;
    Turn turn;                                                 // the next
    std::vector<double> forward_end, backward_end, setup_end;  // [positions]
    std::int64_t backward = 0;                                 // turns done
    double now = 0;
  };

  Worker& worker(int stage) { return workers_[static_cast<std::size_t>(stage)]; }

  bool exists(const Turn& turn) const {
    return turn.evaluation / pipeline_.evaluations * slots_ + turn.slot < pipeline_.groups;
  }

  // Returns when a message that ends a neighbor's work is here; nothing while that is not known.
  static std::optional<double> arrival(double end, double hop) {
    return end == unknown ? std::nullopt : std::optional(end + hop);
  }

  void work(int stage, Activity activity, double from, double seconds, double& end) {
    Worker& own = worker(stage);
    const double start = std::max(own.now, from);
    own.now = end = start + seconds;
    if (records_ && seconds > 0)
      timeline_.boxes.push_back({.stage = stage, .activity = activity, .start = start, .duration = seconds});
  }

  // Takes as many turns as the messages allow; returns whether there were any.
  bool advance(int stage) {
    Worker& own = worker(stage);
    bool progress = false;
    while (own.backward < positions_) {
      const bool forward = own.turn.direction == Direction::forward;
      if (exists(own.turn) && !(forward ? go_forward(stage, own.turn) : go_backward(stage, own.turn)))
        return progress;
      if (!forward) ++own.backward;
      own.turn = own.turns.next();
      progress = true;
    }
    return progress;
  }

  std::size_t position_of(const Turn& turn) const {
    return static_cast<std::size_t>(turn.evaluation * slots_ + turn.slot);
  }

  bool go_backward(int stage, const Turn& turn) {
    const std::size_t at = position_of(turn);
    Worker& own = worker(stage);
    std::optional<double> from = own.now;
    if (stage + 1 < stages_) from = arrival(worker(stage + 1).backward_end[at], pipeline_.hop);
    if (!from) return false;
    const bool last = turn.evaluation % pipeline_.evaluations == pipeline_.evaluations - 1;
    const double seconds =
        last && pipeline_.ends_forward ? 0 : pipeline_.stages[static_cast<std::size_t>(stage)].backward;
    work(stage, Activity::backward, *from, seconds, own.backward_end[at]);
    return true;
  }

  // Stage 0 goes forward when it has gone backward, which the order sees to.
  bool go_forward(int stage, const Turn& turn) {
    const std::size_t at = position_of(turn);
    const StepSeconds& seconds = pipeline_.stages[static_cast<std::size_t>(stage)];
    Worker& own = worker(stage);
    if (turn.evaluation % pipeline_.evaluations == 0 && own.setup_end[at] == unknown) {
      std::optional<double> from = own.now;
      if (stage > 0) from = arrival(worker(stage - 1).setup_end[at], pipeline_.setup_hop);
      if (!from) return false;
      work(stage, Activity::setup, *from, seconds.setup, own.setup_end[at]);
    }
    std::optional<double> from = own.now;
    if (stage > 0) from = arrival(worker(stage - 1).forward_end[at], pipeline_.hop);
    if (!from) return false;
    work(stage, Activity::forward, *from, seconds.forward, own.forward_end[at]);
    return true;
  }

  const StepPipeline& pipeline_;
  int stages_;
  std::int64_t slots_, positions_;
  bool records_;
  std::vector<Worker> workers_;
  Timeline timeline_;
};

// Returns the makespan of `groups` groups, of which some windows are simulated and the others take as long as
// those.
double extended_makespan(StepPipeline pipeline) {
  const std::int64_t groups = pipeline.groups, window = pipeline.in_flight;
  const std::int64_t some = groups % window + 2 * window, more = some + 2 * window;
  if (groups <= more) return Simulation(pipeline, Boxes::left_out).run().makespan;
  const auto of = [&](std::int64_t count) {
    pipeline.groups = count;
    return Simulation(pipeline, Boxes::left_out).run().makespan;
  };
  const double short_one = of(some), long_one = of(more);
  const double per_group = (long_one - short_one) / static_cast<double>(more - some);
  return long_one + per_group * static_cast<double>(groups - more);
}

}  // namespace

Timeline run_steps(const StepPipeline& pipeline, Boxes boxes) {
  io::check(!pipeline.stages.empty() && pipeline.in_flight > 0 && pipeline.groups >= 0 && pipeline.evaluations > 0,
            "a pipeline without stages, slots or evaluations");
  Timeline timeline;
  if (pipeline.groups > 0 && boxes == Boxes::recorded) {
    timeline = Simulation(pipeline, boxes).run();
  } else if (pipeline.groups > 0) {
    timeline.makespan = extended_makespan(pipeline);
  }
  const auto groups = static_cast<double>(pipeline.groups), evaluations = static_cast<double>(pipeline.evaluations),
             backward = evaluations - (pipeline.ends_forward ? 1 : 0);
  for (const StepSeconds& stage : pipeline.stages) {
    timeline.busy.emplace_back();
    timeline.busy.back()[Activity::setup] = groups * stage.setup;
    timeline.busy.back()[Activity::forward] = groups * evaluations * stage.forward;
    timeline.busy.back()[Activity::backward] = groups * backward * stage.backward;
  }
  return timeline;
}

// The stages take the groups in their order, so all wait for the slowest stage alone.
Timeline run_passes(const PassPipeline& pipeline, Boxes boxes) {
  io::check(!pipeline.stages.empty() && pipeline.groups >= 0, "a pipeline without stages");
  Timeline timeline;
  for (const double seconds : pipeline.stages) {
    timeline.busy.emplace_back();
    timeline.busy.back()[pipeline.activity] = seconds * static_cast<double>(pipeline.groups);
  }
  if (pipeline.groups == 0) return timeline;
  const auto last = std::ranges::find_if(pipeline.stages.rbegin(), pipeline.stages.rend(),
                                         [](double seconds) { return seconds > 0; });
  if (last == pipeline.stages.rend()) return timeline;
  const auto working = static_cast<std::size_t>(pipeline.stages.rend() - last);
  const double slowest = std::ranges::max(pipeline.stages);
  timeline.makespan = std::accumulate(pipeline.stages.begin(), pipeline.stages.end(), 0.0) +
                      pipeline.hop * static_cast<double>(working - 1) +
                      slowest * static_cast<double>(pipeline.groups - 1);
  if (boxes == Boxes::left_out) return timeline;
  std::vector<double> end(static_cast<std::size_t>(pipeline.groups), 0.0);  // of each group so far
  for (std::size_t stage = 0; stage < working; ++stage) {
    double now = 0;
    for (double& arrived : end) {
      const double start = std::max(now, stage == 0 ? 0 : arrived + pipeline.hop);
      now = arrived = start + pipeline.stages[stage];
      if (pipeline.stages[stage] > 0)
        timeline.boxes.push_back({.stage = static_cast<int>(stage),
                                  .activity = pipeline.activity,
                                  .start = start,
                                  .duration = pipeline.stages[stage]});
    }
  }
  return timeline;
}

}  // namespace anchorage::coordinator
