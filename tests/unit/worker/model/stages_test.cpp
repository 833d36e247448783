// A model that is cut into stages against the same model whole: the same bits, and each stage with its own weights.
#include "worker/model/stages.hpp"
#include "tests/support/places.hpp"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include <mutex>

#include "io/error.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "tests/unit/worker/model/stage_world.hpp"
#include "worker/editing/values/injected_forward.hpp"
#include "worker/evaluation/score.hpp"
#include "worker/model/forward.hpp"
#include "worker/model/generate.hpp"
#include "worker/statistics/key_statistics.hpp"

namespace anchorage::worker {
namespace {

using tests::Cut;
using tests::cut_stages;
using tests::golden_model;
using tests::on_cut_stages;
using tests::on_stages;

class StagesOfFamily : public testing::TestWithParam<std::string> {
 protected:
  Transformer load(const Stages& stages) const {
    return load_transformer(directory, {.device = torch::kCPU, .dtype = std::nullopt, .stages = stages});
  }

  const io::ModelDirectory directory = golden_model(GetParam()).directory;
};

TEST_P(StagesOfFamily, ScoresAreTheSameBitsOnEveryStage) {
  const std::vector<Completion> completions = {{{5, 6, 7}, {8, 9, 10}}, {{11}, {12, 13}}};
  std::vector<CompletionScore> whole;
  on_stages(4, 1, [&](const Stages& stages) { whole = score_completions(load(stages), completions); });
  for (const int count : {2, 3, 4}) {
    for (const Cut cut : {Cut::one_range, Cut::two_ranges}) {
      on_cut_stages(cut_stages(4, count, cut, 2), [&](const Stages& stages) {
        const auto scores = score_completions(load(stages), completions);
        for (std::size_t i = 0; i < scores.size(); ++i) {
          EXPECT_EQ(scores[i].log_probabilities, whole[i].log_probabilities);
          EXPECT_EQ(scores[i].argmax, whole[i].argmax);
        }
      });
    }
  }
}

TEST_P(StagesOfFamily, GenerateTheSameTokensGreedilyAndDrawn) {
  const std::vector<TokenIds> prompts = {{5, 6, 7}, {8}};
  for (const double temperature : {0.0, 2.0}) {
    const GenerateOptions options{.max_new_tokens = 10, .temperature = temperature, .seed = 3};
    std::vector<TokenIds> whole;
    on_stages(4, 1, [&](const Stages& stages) { whole = generate(load(stages), prompts, options); });
    for (const int count : {2, 4}) {
      on_stages(4, count,
                [&](const Stages& stages) { EXPECT_EQ(generate(load(stages), prompts, options), whole); });
    }
  }
}

std::vector<EditPrompts> two_prompts_to_edit() {
  EditPrompts first, second;
  first.rewrites = {{{5, 6, 7, 8, 9}, 2, 4}, {{20, 21, 22, 5, 6, 7, 8, 9}, 5, 7}};
  first.kl_prompt = {{6, 7, 30, 31}, 1, 3};
  first.target = {40};
  second.rewrites = {{{11, 12, 13, 41, 42}, 0, 2}, {{20, 21, 22, 11, 12, 13, 41, 42}, 3, 5}};
  second.kl_prompt = {{11, 30, 31}, 0, 2};
  second.target = {41, 42, 43};
  return {first, second};
}

// Also where the last injected layer is the last one, and on stages of two ranges.
TEST_P(StagesOfFamily, KeysWithVectorsInjectedAreTheSameBitsOnEveryStage) {
  for (const InjectionOptions& options : {InjectionOptions{{1, 2}, 3}, InjectionOptions{{0, 1, 3}, 3}}) {
    torch::manual_seed(3);
    const auto slots = std::ssize(options.layers);
    const auto injected = 0.3 * torch::randn({2, slots, directory.config().d_model});
    std::vector<torch::Tensor> whole;
    const auto keys = [&](const Stages& stages) {
      const Transformer model = load(stages);
      return InjectedForward(model, two_prompts_to_edit(), options).subject_keys(injected);
    };
    on_stages(4, 1, [&](const Stages& stages) { whole = keys(stages); });
    for (const int count : {2, 3, 4}) {
      for (const Cut cut : {Cut::one_range, Cut::two_ranges}) {
        on_cut_stages(cut_stages(4, count, cut, 1), [&](const Stages& stages) {
          const auto found = keys(stages);
          for (std::size_t i = 0; i < found.size(); ++i)
            EXPECT_TRUE(at::equal(found[i], whole[i])) << i << " on stage " << stages.index() << " of " << count;
        });
      }
    }
  }
}

TEST_P(StagesOfFamily, HiddenStatesThatWouldPassMoreThanTwiceAreAnInternalError) {
  const std::vector<sharding::StageLayers> cut = {sharding::StageLayers({{0, 1}, {2, 3}}),
                                                  sharding::StageLayers({{1, 2}, {3, 4}})};
  EXPECT_NO_THROW(on_cut_stages(cut, [&](const Stages& stages) { EXPECT_EQ(stages.second_pass(4), 2); }));
  const std::vector<sharding::StageLayers> tangled = {sharding::StageLayers({{0, 1}, {2, 3}, {4, 5}}),
                                                      sharding::StageLayers({{1, 2}, {3, 4}})};
  EXPECT_THROW(on_cut_stages(tangled, [](const Stages&) {}), io::InternalError);
}

TEST_P(StagesOfFamily, HoldTheirOwnLayersAndTogetherTheWholeModel) {
  const std::int64_t whole = load({}).bytes();
  const Transformer all = load({});
  const auto bytes_of = [](const torch::Tensor& tensor) {
    return tensor.defined() ? static_cast<std::int64_t>(tensor.nbytes()) : 0;
  };
  for (const int count : {2, 4}) {
    std::int64_t sum = 0;
    std::mutex mutex;
    on_stages(4, count, [&](const Stages& stages) {
      const Transformer model = load(stages);
      EXPECT_EQ(std::ssize(model.blocks), 4 / count);
      EXPECT_EQ(model.token_embedding.defined(), stages.is_first());
      EXPECT_EQ(model.head.defined(), stages.is_last());
      for (std::int64_t layer = 0; layer < 4; ++layer) {
        if (model.holds(layer)) {
          EXPECT_TRUE(at::equal(model.block(layer).down.weight, all.block(layer).down.weight));
        } else {
          EXPECT_THROW((void)model.block(layer), io::InternalError);
        }
      }
      const std::scoped_lock lock(mutex);
      sum += model.bytes();
    });
    // Two stages need a tied embedding; all rotate by the same few frequencies.
    const std::int64_t twice = directory.config().tied_head ? bytes_of(all.head) : 0;
    const std::int64_t frequencies = bytes_of(all.rotary.frequencies) + bytes_of(all.rotary.of_long_texts) +
                                     bytes_of(all.rotary.of_local_layers);
    EXPECT_EQ(sum, whole + twice + (count - 1) * frequencies);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, StagesOfFamily, testing::ValuesIn(tests::golden_model_names),
                         [](const auto& name) { return name.param; });

TEST(Stages, StatisticsOfStagesAndReplicasAreTheSameNumbers) {
  const tests::TemporaryDirectory folder;
  const auto directory = golden_model("llama_tied").directory;
  const auto tokenizer = io::Tokenizer::load(directory.tokenizer());
  const io::StatisticsFingerprint fingerprint{
      .model_name = "m", .model = "1", .tokenizer = "2", .corpus = "3", .sequence_length = 20};
  const auto collect = [&](int stages, int replicas) {
    StatisticsOptions options;
    options.corpus = tests::corpus;
    options.out = folder.path() / (std::to_string(stages) + "x" + std::to_string(replicas) + ".h5");
    options.layers = {1, 2};
    options.tokens = 700;
    options.sequence_length = 20;
    options.seconds_between_saves = 0;
    options.share_of_saves = 1;
    tests::run_thread_world(stages * replicas, [&](sharding::HostCommunicator& world) {
      torch::set_num_threads(1);
      auto groups = sharding::form_rank_groups(world, {stages, replicas}, torch::kCPU);
      const Transformer model =
          load_transformer(directory, {.device = torch::kCPU,
                                       .dtype = std::nullopt,
                                       .stages = Stages(tests::even_stages(4, stages), *groups.replica)});
      collect_key_statistics(model, tokenizer, fingerprint, options, {groups, world}, [](auto) {});
    });
    return io::StatisticsFile::load(options.out);
  };
  const auto one = collect(1, 1);
  for (const auto& [stages, replicas] : {std::pair{2, 1}, {1, 2}, {2, 2}, {3, 1}, {4, 1}}) {
    const auto several = collect(stages, replicas);
    for (const std::int64_t layer : {1, 2}) EXPECT_EQ(several.moment(layer), one.moment(layer));
    EXPECT_EQ(several.residual_norm_median(), one.residual_norm_median());
  }
}

// The demo model in two stages: what a rank holds, measured on the tensors that are there.
TEST(Stages, ARankOfTwoHoldsAtMostTwoThirdsOfTheDemoModel) {
  std::ifstream file(tests::golden_path() + "/demo_model/reference.json");
  if (!file) GTEST_SKIP() << "the demo model is not here: launch/quickstart gets it";
  const auto directory = io::ModelDirectory::open(nlohmann::json::parse(file)["model"].get<std::string>());
  std::int64_t whole = 0;
  for (const std::string& name : directory.weights().names()) {
    whole += static_cast<std::int64_t>(directory.weights().stored(name).bytes.size());
  }
  on_stages(directory.config().layers, 2, [&](const Stages& stages) {
    const Transformer model =
        load_transformer(directory, {.device = torch::kCPU, .dtype = std::nullopt, .stages = stages});
    EXPECT_LE(static_cast<double>(model.bytes()), 0.65 * static_cast<double>(whole));
    EXPECT_GE(static_cast<double>(model.bytes()), 0.5 * static_cast<double>(whole));
  });
}

TEST(Stages, ATensorOfAnotherShapeThanIsWaitedForIsAnInternalError) {
  EXPECT_THROW(on_stages(4, 2,
                         [](const Stages& stages) {
                           const torch::NoGradGuard no_gradients;
                           (void)stages.move(torch::zeros({2, 3}), 0, 1, {3, 2}, torch::kFloat, "hand over");
                         }),
               io::InternalError);
}

}  // namespace
}  // namespace anchorage::worker
