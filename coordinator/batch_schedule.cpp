#include "coordinator/batch_schedule.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "sharding/edit_groups.hpp"

namespace anchorage::coordinator {
namespace {

using sharding::StageLayers;

// Evaluations of each group between two waits for all ranks.
struct StepPhase {
  std::int64_t evaluations = 0;
  double anew = 1;  // the share of groups whose caches are filled before
  bool ends_forward = false;
};

// The clock of all ranks. Replicas with the same number of groups do the same; their numbers differ by at most one.
class ScheduleClock {
 public:
  ScheduleClock(const BatchShape& shape, Boxes boxes)
      : shape_(shape),
        boxes_(boxes),
        groups_(shape.workload.batch, shape.costs.tokens().edits, shape.topology.replicas()) {
    schedule_.busy.resize(static_cast<std::size_t>(shape.topology.size()));
  }

  BatchSchedule finished() {
    std::ranges::stable_sort(schedule_.boxes, {}, &RankBox::rank);
    return std::move(schedule_);
  }

  // Steps of all groups. Work on the stages ends when the slowest replica is done.
  void steps(const StepPhase& phase, double PlanSeconds::*part) {
    StepPipeline pipeline{.stages = {},
                          .hop = shape_.costs.hop(tokens().steps),
                          .setup_hop = shape_.costs.hop(tokens().whole),
                          .groups = 0,
                          .in_flight = 1,
                          .evaluations = phase.evaluations,
                          .ends_forward = phase.ends_forward};
    for (const StageLayers& stage : shape_.stages) {
      pipeline.stages.push_back(shape_.costs.step(stage));
      pipeline.stages.back().setup *= phase.anew;
    }
    each_replica(part, [&](std::int64_t groups) {
      pipeline.groups = groups;
      if (groups > 0) pipeline.in_flight = sharding::groups_in_flight(groups, shape_.topology.stages());
      return run_steps(pipeline, boxes_);
    });
  }

  // A pass of all groups, with so many seconds per group on each stage.
  template <typename Seconds>
  void pass(Activity activity, std::int64_t tokens, double PlanSeconds::*part, Seconds seconds_of) {
    PassPipeline pipeline{.stages = {}, .hop = shape_.costs.hop(tokens), .groups = 0, .activity = activity};
    for (const StageLayers& stage : shape_.stages) pipeline.stages.push_back(seconds_of(stage));
    each_replica(part, [&](std::int64_t groups) {
      pipeline.groups = groups;
      return run_passes(pipeline, boxes_);
    });
  }

  void pass_lower(Activity activity, std::int64_t tokens, double PlanSeconds::*part) {
    pass(activity, tokens, part, [&](const StageLayers& stage) {
      return shape_.costs.layers(stage.below(shape_.workload.lower_layers()), tokens);
    });
  }

  void pass_upper(Activity activity, std::int64_t tokens, std::int64_t predicted, double PlanSeconds::*part) {
    pass(activity, tokens, part, [&](const StageLayers& stage) {
      const double head = has_head(shape_.workload.model, stage) ? shape_.costs.head(predicted) : 0;
      return head + shape_.costs.layers(stage.size() - stage.below(shape_.workload.lower_layers()), tokens);
    });
  }

  // From one layer up to another, both included.
  void pass_layers(Activity activity, std::int64_t tokens, std::int64_t first, std::int64_t last) {
    pass(activity, tokens, &PlanSeconds::values, [&](const StageLayers& stage) {
      return shape_.costs.layers(stage.below(last + 1) - stage.below(first), tokens);
    });
  }
  void pass_edited(Activity activity, std::int64_t tokens) {
    pass_layers(activity, tokens, shape_.workload.lower_layers(), shape_.workload.hparams.layers.back());
  }

  // The guard's sentences, shared out over the replicas.
  void probe() {
    PassPipeline pipeline{.stages = {}, .hop = 0, .groups = 1, .activity = Activity::score};
    for (const StageLayers& stage : shape_.stages) {
      const double head = has_head(shape_.workload.model, stage) ? shape_.costs.head(probe_tokens) : 0;
      pipeline.stages.push_back((shape_.costs.layers(stage.size(), probe_tokens) + head) /
                                std::min(probe_passes, shape_.topology.replicas()));
    }
    each_replica(&PlanSeconds::evaluate, [&](std::int64_t) { return run_passes(pipeline, boxes_); });
  }

  // Each rank works for its own number of seconds.
  template <typename Seconds>
  void each_rank(Activity activity, double PlanSeconds::*part, Seconds seconds_of) {
    double longest = 0;
    for (int rank = 0; rank < shape_.topology.size(); ++rank) {
      const double seconds = seconds_of(rank);
      longest = std::max(longest, seconds);
      schedule_.busy[static_cast<std::size_t>(rank)][activity] += seconds;
      if (boxes_ == Boxes::recorded && seconds > 0)
        schedule_.boxes.push_back({.rank = rank, .activity = activity, .start = now_, .duration = seconds});
    }
    advance(part, longest);
  }

  void all_ranks(Activity activity, double PlanSeconds::*part, double seconds) {
    each_rank(activity, part, [seconds](int) { return seconds; });
  }

 private:
  const GroupTokens& tokens() const { return shape_.costs.tokens(); }

  void advance(double PlanSeconds::*part, double seconds) {
    schedule_.seconds.*part += seconds;
    now_ += seconds;
  }

  template <typename Run>
  void each_replica(double PlanSeconds::*part, Run run) {
    double longest = 0;
    Timeline timeline;
    std::int64_t simulated = -1;  // groups of `timeline`
    for (int replica = 0; replica < shape_.topology.replicas(); ++replica) {
      const std::int64_t groups = groups_.groups_of_replica(replica).size();
      if (groups != simulated) timeline = run(groups);
      simulated = groups;
      longest = std::max(longest, timeline.makespan);
      add(timeline, replica);
    }
    advance(part, longest);
  }

  void add(const Timeline& timeline, int replica) {
    for (std::size_t stage = 0; stage < timeline.busy.size(); ++stage) {
      const int rank = shape_.topology.rank_of({.stage = static_cast<int>(stage), .replica = replica});
      schedule_.busy[static_cast<std::size_t>(rank)] += timeline.busy[stage];
    }
    for (const Box& box : timeline.boxes) {
      schedule_.boxes.push_back({.rank = shape_.topology.rank_of({.stage = box.stage, .replica = replica}),
                                 .activity = box.activity,
                                 .start = now_ + box.start,
                                 .duration = box.duration});
    }
  }

  const BatchShape& shape_;
  Boxes boxes_;
  sharding::EditGroups groups_;
  double now_ = 0;
  BatchSchedule schedule_;
};

constexpr auto values = &PlanSeconds::values;
constexpr auto solve = &PlanSeconds::solve;
constexpr auto communicate = &PlanSeconds::communicate;
constexpr auto evaluate = &PlanSeconds::evaluate;

class Batch {
 public:
  Batch(const BatchShape& shape, Boxes boxes)
      : workload_(shape.workload), slabs_(shape.slabs), tokens_(shape.costs.tokens()), clock_(shape, boxes) {
    const sharding::EditGroups groups(workload_.batch, tokens_.edits, shape.topology.replicas());
    const auto most = static_cast<double>(groups.groups_of_replica(shape.topology.replicas() - 1).size());
    if (workload_.kept_groups > 0)
      share_anew_ = std::max(0.0, 1 - static_cast<double>(workload_.kept_groups) / most);
  }

  BatchSchedule run() {
    score();
    if (workload_.edited_layers() > 0) {
      choose_contexts();
      find_values();
      workload_.joint ? write_jointly() : write_in_turn();
      clock_.each_rank(Activity::accept, solve,
                       [&](int rank) { return static_cast<double>(slabs_.owned(rank)) * slabs_.acceptance(); });
      clock_.probe();
      score();
    }
    return clock_.finished();
  }

 private:
  void score() {
    clock_.pass_lower(Activity::score, tokens_.bare, evaluate);
    clock_.pass_upper(Activity::score, tokens_.bare, tokens_.targets, evaluate);
  }

  // The prefixes of candidates, up to the last edited layer.
  void choose_contexts() {
    clock_.pass_lower(Activity::contexts, tokens_.candidates, values);
    clock_.pass_edited(Activity::contexts, tokens_.candidates);
  }

  // Returns how many of so many tokens of all groups are of groups whose caches are not kept.
  std::int64_t anew(std::int64_t tokens) const { return std::llround(share_anew_ * static_cast<double>(tokens)); }

  void find_values() {
    const auto optimize = [&](const StepPhase& phase) {
      if (phase.evaluations == 0) return;
      const auto tokens = phase.anew * static_cast<double>(tokens_.whole);
      clock_.pass_lower(Activity::pass, std::llround(tokens), values);
      clock_.steps(phase, values);
    };
    const std::int64_t located = workload_.locate_evaluations;
    optimize({.evaluations = located, .ends_forward = false});
    optimize({.evaluations = workload_.evaluations - located,
              .anew = located > 0 ? share_anew_ : 1,
              .ends_forward = true});
  }

  // All layers at once, at the keys of the injected forward pass; then upward, in sweeps.
  void write_jointly() {
    clock_.pass_lower(Activity::keys, anew(tokens_.whole), values);
    clock_.pass_edited(Activity::keys, anew(tokens_.whole));
    clock_.pass_edited(Activity::keys, tokens_.steps);
    const auto layers = static_cast<double>(workload_.edited_layers());
    clock_.all_ranks(Activity::exchange, communicate, layers * slabs_.gather());
    clock_.each_rank(Activity::products, solve,
                     [&](int rank) { return static_cast<double>(slabs_.owned(rank)) * slabs_.product(); });
    clock_.all_ranks(Activity::exchange, communicate, layers * slabs_.broadcast());
    clock_.all_ranks(Activity::factor, solve, layers * slabs_.factor());
    if (workload_.hparams.correction_sweeps == 0) return;
    clock_.pass_edited(Activity::keys, tokens_.prefix);
    clock_.all_ranks(Activity::exchange, communicate, layers * slabs_.gather());
    for (int sweep = 0; sweep < workload_.hparams.correction_sweeps; ++sweep) write_upward();
  }

  // Each layer writes what its residuals lack after the last edited layer.
  void write_in_turn() {
    clock_.pass_edited(Activity::keys, tokens_.prefix);
    write_upward();
    for (const std::int64_t layer : workload_.hparams.layers)
      clock_.pass_layers(Activity::keys, tokens_.prefix, layer, workload_.hparams.layers.back());
  }

  // The keys of a layer depend on what the layers below have written; they are run from the layer written before.
  void write_upward() {
    const auto& layers = workload_.hparams.layers;
    for (std::int64_t i = 0; i < workload_.edited_layers(); ++i) {
      const auto place = static_cast<std::size_t>(i);
      clock_.pass_layers(Activity::keys, tokens_.prefix, layers[place == 0 ? 0 : place - 1], layers[place]);
      clock_.all_ranks(Activity::exchange, communicate, slabs_.gather());
      clock_.each_rank(Activity::products, solve,
                       [&](int rank) { return static_cast<double>(slabs_.owned_of(i, rank)) * slabs_.product(); });
      clock_.all_ranks(Activity::exchange, communicate, slabs_.broadcast());
      clock_.all_ranks(Activity::factor, solve, slabs_.factor());
    }
  }

  const Workload& workload_;
  const SlabCosts& slabs_;
  const GroupTokens& tokens_;
  double share_anew_ = 1;  // of the groups, whose caches are not kept
  ScheduleClock clock_;
};

}  // namespace

BatchSchedule schedule_batch(const BatchShape& shape, Boxes boxes) {
  return Batch(shape, boxes).run();
}

std::int64_t count_boxes(const BatchShape& shape) {
  const sharding::EditGroups groups(shape.workload.batch, shape.costs.tokens().edits, shape.topology.replicas());
  const std::int64_t passes = 16 + 2 * shape.workload.evaluations + 2 * shape.workload.edited_layers();
  return groups.count() * passes * shape.topology.stages();
}

}  // namespace anchorage::coordinator
