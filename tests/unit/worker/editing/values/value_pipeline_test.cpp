// Searches of several groups over the stages of a replica, as threads of this process.
#include "worker/editing/values/value_pipeline.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include "tests/unit/worker/model/golden_model.hpp"
#include "tests/unit/worker/model/stage_world.hpp"
#include "worker/editing/values/value_optimizer.hpp"

namespace anchorage::worker {
namespace {

using tests::Cut;
using tests::cut_stages;
using tests::golden_model;
using tests::on_cut_stages;

EditPrompts edit_on(std::int32_t subject, TokenIds target) {
  EditPrompts edit;
  TokenIds bare = {subject, 7, 8}, after = {20, 21, 22, subject, 7, 8};
  bare.insert(bare.end(), target.begin(), target.end());
  after.insert(after.end(), target.begin(), target.end());
  edit.rewrites = {{bare, 0, 2}, {after, 3, 5}};
  edit.kl_prompt = {{6, subject, 30, 31}, 1, 3};
  edit.target = std::move(target);
  return edit;
}

// Seven groups of one to three edits, of different lengths.
std::vector<std::vector<EditPrompts>> seven_groups() {
  std::vector<std::vector<EditPrompts>> groups;
  for (std::int32_t group = 0; group < 7; ++group) {
    groups.emplace_back();
    for (std::int32_t edit = 0; edit <= group % 3; ++edit) {
      TokenIds target = {50 + group};
      if (group % 2 == 1) target.push_back(60 + edit);
      groups.back().push_back(edit_on(9 + 3 * group + edit, target));
    }
  }
  return groups;
}

io::Hparams pipeline_hparams() {
  io::Hparams pipeline_hparams;
  pipeline_hparams.v_num_grad_steps = 12;
  pipeline_hparams.v_lr = 0.5;
  pipeline_hparams.clamp_norm_factor = 20;
  pipeline_hparams.v_weight_decay = 1e-3;
  pipeline_hparams.early_stop = io::EarlyStop::loss;
  pipeline_hparams.early_stop_loss = 9;  // some edits get there early, some late, some not at all
  pipeline_hparams.eac_locate_steps = 4;
  pipeline_hparams.eac_compress_steps = 6;
  pipeline_hparams.eac_anchor_ratio = 0.25;
  return pipeline_hparams;
}

class ValuePipeline : public testing::Test {
 protected:
  static void expect_same(const std::vector<torch::Tensor>& several, const std::vector<torch::Tensor>& whole,
                          const std::string& where) {
    ASSERT_EQ(several.size(), whole.size()) << where;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      EXPECT_TRUE(at::equal(several[i], whole[i])) << i << " " << where;
      EXPECT_EQ(several[i].scalar_type(), torch::kFloat) << i << " " << where;
    }
  }

  Transformer load(const Stages& stages) const {
    return load_transformer(directory, {.device = torch::kCPU, .dtype = std::nullopt, .stages = stages});
  }

  static std::vector<InjectedForward> forwards(const Transformer& model, const InjectionOptions& options,
                                               const std::vector<std::vector<EditPrompts>>& groups) {
    std::vector<InjectedForward> all;
    for (const auto& group : groups) all.emplace_back(model, group, options);
    return all;
  }

  // What all searches find, in one list, and after that the keys of each group and layer; with the forward passes
  // of so many groups kept.
  std::vector<torch::Tensor> found(const Stages& stages, const InjectionOptions& options,
                                   const std::vector<std::vector<EditPrompts>>& groups,
                                   std::int64_t kept = 0) const {
    const torch::NoGradGuard no_gradients;
    const Transformer model = load(stages);
    std::vector<torch::Tensor> all;
    for (const auto& dense : optimize_values(forwards(model, options, groups), pipeline_hparams()))
      all.push_back(dense.values);
    std::vector<torch::Tensor> anchors;
    const auto located = locate_anchors(forwards(model, options, groups), pipeline_hparams(), kept);
    std::vector<InjectedForward> again, of_keys;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const LocatedValues& values = located[i];
      all.insert(all.end(), {values.dense, values.saliency});
      anchors.push_back(values.saliency.gt(values.saliency.median()).to(torch::kFloat));
      EXPECT_EQ(values.forward != nullptr, std::cmp_less(i, kept));
      again.push_back(values.forward ? *values.forward : InjectedForward(model, groups[i], options));
      of_keys.push_back(again.back());
      if (values.forward) of_keys.back().drop_what_only_the_loss_needs();
    }
    for (const auto& compressed : compress_to_anchors(std::move(again), pipeline_hparams(), located, anchors))
      all.push_back(compressed.values);
    for (const auto& anchored : optimize_anchored_values(forwards(model, options, groups), pipeline_hparams()))
      all.push_back(anchored.values);
    for (std::size_t i = 0; i < groups.size(); ++i) {
      for (const auto& keys : of_keys[i].subject_keys(located[i].dense)) all.push_back(keys);
    }
    return all;
  }

  const io::ModelDirectory directory = golden_model("llama_tied").directory;
};

TEST_F(ValuePipeline, FindsTheBitsOfEachGroupAloneOnStagesOfEveryCut) {
  for (const InjectionOptions& options : {InjectionOptions{{1, 2}, 3}, InjectionOptions{{2}, 3},
                                          InjectionOptions{{1, 3}, 3}, InjectionOptions{{1}, 2}}) {
    std::vector<torch::Tensor> whole;
    const auto groups = seven_groups();
    on_cut_stages(cut_stages(4, 1, Cut::one_range, 1), [&](const Stages& stages) {
      const auto together = found(stages, options, groups);
      whole = together;
      expect_same(found(stages, options, groups, 3), whole, "three kept");
      for (std::size_t i = 0; i < groups.size(); ++i)
        EXPECT_TRUE(at::equal(found(stages, options, {groups[i]}).front(), together[i])) << "group " << i;
    });
    for (const int count : {2, 3, 4}) {
      for (const Cut cut : {Cut::one_range, Cut::two_ranges}) {
        on_cut_stages(cut_stages(4, count, cut, 1), [&](const Stages& stages) {
          const std::string where = fmt::format("on stage {} of {}, cut in {}", stages.index(), count,
                                                cut == Cut::one_range ? "one range each" : "two ranges each");
          expect_same(found(stages, options, groups), whole, where);
          expect_same(found(stages, options, groups, 5), whole, where + ", five kept");
        });
      }
    }
  }
}

// Otherwise the test above would prove less than it says.
TEST_F(ValuePipeline, SomeEditsOfTheTestConvergeEarlyAndSomeNever) {
  const Transformer model = load({});
  const auto after = [&](int evaluations) {
    const torch::NoGradGuard no_gradients;
    auto options = pipeline_hparams();
    options.v_num_grad_steps = evaluations;
    std::vector<torch::Tensor> values;
    for (const auto& found : optimize_values(forwards(model, {{1, 2}, 3}, seven_groups()), options))
      values.push_back(found.values);
    return at::cat(values);
  };
  const auto moved = [&](int evaluations) {
    return after(evaluations).ne(after(evaluations + 1)).flatten(1).any(1).sum().item<std::int64_t>();
  };
  const std::int64_t edits = after(1).size(0), early = edits - moved(4), late = edits - moved(11);
  EXPECT_GT(early, 0);
  EXPECT_GT(late, early);
  EXPECT_LT(late, edits);
}

// Edits leave at different evaluations, and the losses are those of the values that each has left with.
TEST_F(ValuePipeline, HasTheLossesOfTheValuesOnStagesOfEveryCut) {
  const InjectionOptions options{{1, 2}, 3};
  const auto groups = seven_groups();
  const auto losses_on = [&](const Stages& stages, const FoundValues* expected) {
    const torch::NoGradGuard no_gradients;
    const Transformer model = load(stages);
    std::vector<FoundValues> all = optimize_values(forwards(model, options, groups), pipeline_hparams());
    for (FoundValues& anchored : optimize_anchored_values(forwards(model, options, groups), pipeline_hparams()))
      all.push_back(std::move(anchored));
    for (std::size_t i = 0; expected != nullptr && i < all.size(); ++i)
      EXPECT_TRUE(at::equal(all[i].losses, expected[i].losses)) << i << " on stage " << stages.index();
    return all;
  };
  std::vector<FoundValues> whole;
  on_cut_stages(cut_stages(4, 1, Cut::one_range, 1), [&](const Stages& stages) {
    whole = losses_on(stages, nullptr);
    const torch::NoGradGuard no_gradients;
    const Transformer model = load(stages);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      InjectedForward again(model, groups[i % groups.size()], options);
      again.fill();
      const InjectedLoss loss = again.loss(whole[i].values);
      EXPECT_TRUE(at::allclose(whole[i].losses.select(1, 0), loss.nll, 1e-5, 1e-6)) << i;
      EXPECT_TRUE(at::equal(whole[i].losses.select(1, 1), loss.matches.to(torch::kFloat))) << i;
    }
  });
  for (const int count : {2, 4}) {
    on_cut_stages(cut_stages(4, count, Cut::one_range, 1),
                  [&](const Stages& stages) { losses_on(stages, whole.data()); });
  }
}

// The first and the last edit of each group are about one subject, with an edit of another between them in some.
TEST_F(ValuePipeline, FindsOneValueForEditsOfASubjectWithTheSameBitsOnStagesOfEveryCut) {
  auto groups = seven_groups();
  for (auto& group : groups) group.front().subject = group.back().subject = "one";
  const InjectionOptions options{{1, 2}, 3};
  std::vector<torch::Tensor> whole;
  on_cut_stages(cut_stages(4, 1, Cut::one_range, 1), [&](const Stages& stages) {
    whole = found(stages, options, groups);
    const auto separate = found(stages, options, seven_groups());
    const std::size_t values = whole.size() - groups.size() * options.layers.size();
    for (std::size_t i = 0; i < values; ++i) {
      EXPECT_TRUE(at::equal(whole[i][0], whole[i][-1])) << i;
      const bool is_alone = whole[i].size(0) == 1;
      EXPECT_EQ(at::equal(whole[i], separate[i]), is_alone)
          << i << ": a group without a repeated subject is as before";
    }
  });
  for (const int count : {2, 3, 4}) {
    for (const Cut cut : {Cut::one_range, Cut::two_ranges}) {
      on_cut_stages(cut_stages(4, count, cut, 1), [&](const Stages& stages) {
        const auto several = found(stages, options, groups);
        ASSERT_EQ(several.size(), whole.size());
        for (std::size_t i = 0; i < whole.size(); ++i)
          EXPECT_TRUE(at::equal(several[i], whole[i])) << i << " on stage " << stages.index() << " of " << count;
      });
    }
  }
}

// The stages from the first injected layer on send each other a message up and one down for each evaluation; those
// before wait for the values.
TEST_F(ValuePipeline, StagesBeforeTheFirstInjectedLayerHaveNoPartInTheSteps) {
  auto options = pipeline_hparams();
  options.early_stop_loss = -1;
  const std::vector<sharding::StageLayers> cut = {{0, 2}, {2, 3}, {3, 4}};
  tests::run_thread_world(3, [&](sharding::HostCommunicator& world) {
    torch::set_num_threads(1);
    const torch::NoGradGuard no_gradients;
    const auto replica = sharding::make_device_communicator(world, torch::kCPU);
    const Stages stages(cut, *replica);
    const Transformer model = load(stages);
    const auto values = optimize_values(forwards(model, {{2, 3}, 3}, seven_groups()), options);
    EXPECT_EQ(values.size(), 7U);
    const auto calls = [&](const char* operation) {
      const auto traffic = replica->traffic().find(operation);
      return traffic == replica->traffic().end() ? 0 : traffic->second.calls;
    };
    const bool takes_part = stages.index() >= 1;
    EXPECT_EQ(calls("hand suffixes up"), takes_part ? 7 * 12 : 0);
    EXPECT_EQ(calls("hand gradients down"), takes_part ? 7 * 11 : 0);  // none after the last evaluation
    EXPECT_EQ(calls("hand whole rows up"), takes_part ? 7 : 0);
    EXPECT_EQ(calls("broadcast values"), 1);
  });
}

TEST_F(ValuePipeline, ALostStageEndsTheOthersWaitsAtTheDeadlineByTheOperationsName) {
  for (const int lost : {0, 1, 2}) {
    const auto start = std::chrono::steady_clock::now();
    tests::run_thread_world(
        3,
        [&](sharding::HostCommunicator& world) {
          torch::set_num_threads(1);
          const torch::NoGradGuard no_gradients;
          const auto replica = sharding::make_device_communicator(world, torch::kCPU);
          const Stages stages(tests::stages_of_two_ranges(4, 1, 3), *replica);
          const Transformer model = load(stages);
          const StageNeighbors neighbors(stages, 0);
          GroupSearch search(
              InjectedForward(model, seven_groups()[2], {{1, 2}, 3}), pipeline_hparams(),
              {{.evaluations = 5, .until_converged = true, .anchored = false, .start = [&](const PointSearch*) {
                  return SearchStart{
                      .point = torch::zeros({3, 2, model.config.d_model}), .mask = {}, .l1_weights = {}};
                }}});
          search.begin();
          search.arrive();
          try {
            for (int evaluation = 0; evaluation < 5; ++evaluation) {
              if (evaluation == 1 && stages.index() == lost) return;
              search.go_forward(neighbors);
              search.go_backward(neighbors);
            }
            neighbors.deliver();
            ADD_FAILURE() << "stage " << stages.index() << " does not miss stage " << lost;
          } catch (const sharding::CollectiveError& error) {
            EXPECT_TRUE(error.operation() == "hand suffixes up" || error.operation() == "hand gradients down" ||
                        error.operation() == "deliver the last messages between stages")
                << error.operation();
          }
        },
        sharding::Seconds{1});
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{6});
  }
}

}  // namespace
}  // namespace anchorage::worker
