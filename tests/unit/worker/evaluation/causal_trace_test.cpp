// Tracing against a loop over whole rows, one at a time, without caches; all in f64.
#include "worker/evaluation/causal_trace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include "tests/unit/worker/model/golden_model.hpp"
#include "tests/unit/worker/model/stage_world.hpp"
#include "worker/model/forward.hpp"

namespace anchorage::worker {
namespace {

using testing::HasSubstr;

Transformer staged_model_in_f64(const std::string& name, const Stages& stages = {}) {
  auto model = load_transformer(tests::golden_model(name).directory,
                                {.device = torch::kCPU, .dtype = torch::kDouble, .stages = stages});
  for (std::int64_t& window : model.config.windows) window = std::min<std::int64_t>(window, 3);
  return model;
}

// Subjects at the beginning, at the end and in the middle of their rows; one without an answer.
std::vector<TracedFact> three_facts() {
  return {{.ids = {5, 6, 7, 8, 9}, .subject_first = 0, .subject_last = 1, .answer = 40},
          {.ids = {11, 12, 13}, .subject_first = 2, .subject_last = 2, .answer = {}},
          {.ids = {20, 21, 22, 23, 24, 25, 26}, .subject_first = 1, .subject_last = 3, .answer = 12}};
}

// More than one pass has.
std::vector<TracedFact> many_facts() {
  std::vector<TracedFact> facts;
  for (int i = 0; i < 7; ++i) std::ranges::copy(three_facts(), std::back_inserter(facts));
  return facts;
}

// What is done to one row on its way up.
struct Change {
  torch::Tensor noise{};              // [subject tokens, d], or undefined
  std::int64_t restored_layer = -1;   // after which the state at the subject's last token is replaced
  torch::Tensor restored_state = {};  // [d]
};

struct Row {
  std::vector<torch::Tensor> states;  // [d] after each layer, at the subject's last token
  torch::Tensor predictions;          // [V]: probabilities
};

Row run(const Transformer& model, const TracedFact& fact, const Change& change) {
  const ForwardPass pass(model, lay_out(std::span(&fact.ids, 1), {}, torch::kCPU));
  auto hidden = pass.embed();
  if (change.noise.defined()) {
    for (std::int64_t i = 0; i < change.noise.size(0); ++i) hidden[fact.subject_first + i] += change.noise[i];
  }
  Row row;
  for (std::int64_t layer = 0; layer < model.layers(); ++layer) {
    hidden = pass.block(layer, hidden).hidden.clone();
    if (layer == change.restored_layer) hidden[fact.subject_last] = change.restored_state;
    row.states.push_back(hidden[fact.subject_last].clone());
  }
  row.predictions = next_token_log_probabilities(model, hidden)[-1].exp();
  return row;
}

// The deviation of the embeddings of all subjects' tokens.
double deviation(const Transformer& model, const std::vector<TracedFact>& facts) {
  std::vector<torch::Tensor> embeddings;
  for (const TracedFact& fact : facts) {
    for (auto position = fact.subject_first; position <= fact.subject_last; ++position)
      embeddings.push_back(model.token_embedding[fact.ids[static_cast<std::size_t>(position)]]);
  }
  const double scale = model.config.traits().scaled_embedding
                           ? static_cast<double>(std::sqrt(static_cast<float>(model.config.d_model)))
                           : 1;
  return at::stack(embeddings).std().item<double>() * scale;
}

CausalTrace slow_trace(const Transformer& model, const std::vector<TracedFact>& facts,
                       const TraceOptions& options) {
  const double scale = options.strength * deviation(model, facts);
  CausalTrace trace{.effects = std::vector<double>(static_cast<std::size_t>(model.layers())),
                    .facts = std::ssize(facts)};
  for (std::int64_t number = 0; number < trace.facts; ++number) {
    const TracedFact& fact = facts[static_cast<std::size_t>(number)];
    const Row clean = run(model, fact, {});
    const std::int64_t answer = fact.answer ? *fact.answer : clean.predictions.argmax().item<std::int64_t>();
    const auto noise =
        subject_noise(options, number, fact.subject_last - fact.subject_first + 1, model.config.d_model)
            .to(torch::kDouble) *
        scale;
    const auto share = 1.0 / static_cast<double>(trace.facts);
    trace.clean += share * clean.predictions[answer].item<double>();
    for (std::int64_t n = 0; n < options.noises; ++n) {
      const double part = share / static_cast<double>(options.noises);
      const double corrupted = run(model, fact, {.noise = noise[n]}).predictions[answer].item<double>();
      trace.corrupted += part * corrupted;
      for (std::int64_t layer = 0; layer < model.layers(); ++layer) {
        const auto place = static_cast<std::size_t>(layer);
        const Row restored =
            run(model, fact, {.noise = noise[n], .restored_layer = layer, .restored_state = clean.states[place]});
        trace.effects[place] += part * (restored.predictions[answer].item<double>() - corrupted);
      }
    }
  }
  return trace;
}

CausalTrace trace_of(const Transformer& model, const std::vector<TracedFact>& facts, const TraceOptions& options) {
  CausalTrace trace;
  tests::run_thread_world(1, [&](sharding::HostCommunicator& world) {
    const auto device = sharding::make_device_communicator(world, torch::kCPU);
    trace = trace_facts(model, facts, options, Communicators(world, *device));
  });
  return trace;
}

class CausalTraceOfFamily : public testing::TestWithParam<std::string> {
 protected:
  const torch::NoGradGuard no_gradients;
};

TEST_P(CausalTraceOfFamily, SuffixesGiveTheEffectsOfWholeRows) {
  const Transformer model = staged_model_in_f64(GetParam());
  const TraceOptions options{.noises = 2, .strength = 3, .seed = 5};
  const CausalTrace expected = slow_trace(model, three_facts(), options);
  const CausalTrace found = trace_of(model, three_facts(), options);
  ASSERT_EQ(found.effects.size(), expected.effects.size());
  EXPECT_EQ(found.facts, 3);
  EXPECT_NEAR(found.clean, expected.clean, 1e-10);
  EXPECT_NEAR(found.corrupted, expected.corrupted, 1e-10);
  double largest = 0;
  for (std::size_t layer = 0; layer < expected.effects.size(); ++layer) {
    EXPECT_NEAR(found.effects[layer], expected.effects[layer], 1e-10) << "layer " << layer;
    largest = std::max(largest, std::abs(expected.effects[layer]));
  }
  EXPECT_GT(largest, 1e-7) << "nothing was compared";
}

// Of the families those that differ in what the trace uses: embeddings, positions, norms, blocks and windows.
INSTANTIATE_TEST_SUITE_P(Families, CausalTraceOfFamily,
                         testing::Values("gpt2", "llama_tied", "gptj", "gemma2", "gemma3", "qwen3_mixed_windows"),
                         [](const auto& family) { return family.param; });

TEST(CausalTrace, IsTheSameBitsOnAnyNumberOfStages) {
  const std::vector<TracedFact> facts = many_facts();
  const auto config = tests::golden_model("llama_tied").directory.config();
  std::vector<CausalTrace> traces;
  std::vector<std::vector<sharding::StageLayers>> cuts;
  for (const int stages : {1, 2}) cuts.push_back(tests::even_stages(config.layers, stages));
  cuts.push_back(tests::stages_of_two_ranges(config.layers, config.layers / 2, 2));
  for (const auto& cut : cuts) {
    tests::run_thread_world(static_cast<int>(cut.size()), [&](sharding::HostCommunicator& world) {
      torch::set_num_threads(1);
      const sharding::Topology topology(static_cast<int>(cut.size()), 1);
      auto groups = sharding::form_rank_groups(world, topology, torch::kCPU);
      const Stages stages = cut.size() == 1 ? Stages() : Stages(cut, *groups.replica);
      const auto model = load_transformer(tests::golden_model("llama_tied").directory,
                                          {.device = torch::kCPU, .dtype = {}, .stages = stages});
      const auto trace = trace_facts(model, facts, {.seed = 3}, Communicators(groups, world));
      if (world.rank() == 0) traces.push_back(trace);
    });
  }
  for (const CausalTrace& trace : traces) {
    EXPECT_EQ(trace.effects, traces.front().effects);
    EXPECT_EQ(trace.clean, traces.front().clean);
    EXPECT_EQ(trace.corrupted, traces.front().corrupted);
  }
}

TEST(CausalTrace, IsTheSameBitsOnAnyNumberOfReplicas) {
  const auto model = load_transformer(tests::golden_model("llama_tied").directory);
  std::vector<CausalTrace> traces;
  for (const int replicas : {1, 2, 3}) {
    tests::run_thread_world(replicas, [&](sharding::HostCommunicator& world) {
      torch::set_num_threads(1);
      const auto device = sharding::make_device_communicator(world, torch::kCPU);
      const auto trace = trace_facts(model, many_facts(), {.seed = 3}, Communicators(world, *device));
      if (world.rank() == replicas - 1) traces.push_back(trace);
    });
  }
  EXPECT_EQ(traces[1].effects, traces[0].effects);
  EXPECT_EQ(traces[2].effects, traces[0].effects);
}

TEST(CausalTrace, NoiseDependsOnSeedAndFactAndIsStandardNormal) {
  const TraceOptions options{.noises = 3, .seed = 1};
  const auto noise = subject_noise(options, 4, 10, 1001);
  EXPECT_EQ(noise.sizes(), (std::vector<std::int64_t>{3, 10, 1001}));
  EXPECT_NEAR(noise.mean().item<double>(), 0, 0.02);
  EXPECT_NEAR(noise.std().item<double>(), 1, 0.02);
  EXPECT_TRUE(at::equal(noise, subject_noise(options, 4, 10, 1001)));
  EXPECT_FALSE(at::equal(noise, subject_noise(options, 5, 10, 1001)));
  EXPECT_FALSE(at::equal(noise, subject_noise({.noises = 3, .seed = 2}, 4, 10, 1001)));
}

TEST(CausalTrace, ThePeakIsTheFirstOfTheLargestEffects) {
  EXPECT_EQ((CausalTrace{.effects = {0.1, 0.4, 0.2, 0.4}}.peak()), 1);
}

class TracedFactTest : public testing::Test {
 protected:
  const io::ModelDirectory directory = tests::golden_model("llama_tied").directory;
  const io::Tokenizer tokenizer = io::Tokenizer::load(directory.tokenizer());
  const PromptBuilder prompts{tokenizer};
  const io::Edit edit{
      .id = "a", .subject = "Boeing", .prompt = "The CEO of {} is", .target = "Kelly", .ground_truth = "Dave"};
};

TEST_F(TracedFactTest, TheAnswerIsTheFirstTokenOfTheOldOne) {
  const TracedFact fact = traced_fact(prompts, edit, 128);
  ASSERT_TRUE(fact.is_usable()) << fact.rejection;
  EXPECT_EQ(fact.ids, prompts.prompt_ids("The CEO of Boeing is"));
  EXPECT_EQ(fact.answer, prompts.target_ids("The CEO of Boeing is", "Dave").front());
  io::Edit without = edit;
  without.ground_truth.clear();
  EXPECT_FALSE(traced_fact(prompts, without, 128).answer);
  EXPECT_EQ(traced_fact(prompts, without, 128).ids, fact.ids);
}

TEST_F(TracedFactTest, TheSubjectIsAllOfItsTokens) {
  io::Edit at_the_start = edit;
  at_the_start.prompt = "{} is led by";
  for (const io::Edit& one : {edit, at_the_start}) {
    const TracedFact fact = traced_fact(prompts, one, 128);
    const TokenIds subject(fact.ids.begin() + fact.subject_first, fact.ids.begin() + fact.subject_last + 1);
    const std::string text = tokenizer.decode(subject);
    EXPECT_EQ(text.substr(text.find_first_not_of(' ')), "Boeing");
  }
}

TEST_F(TracedFactTest, APromptThatTakesTooManyPositionsIsRejected) {
  EXPECT_THAT(traced_fact(prompts, edit, 3).rejection, HasSubstr("at most 3 positions"));
}

}  // namespace
}  // namespace anchorage::worker
