#include "worker/statistics/key_statistics.hpp"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include "io/error.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thread_communicator.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/model/forward.hpp"
#include "worker/model/text_sequences.hpp"

namespace anchorage::worker {
namespace {

class KeyStatistics : public testing::Test {
 protected:
  StatisticsOptions options(const std::string& out) const {
    StatisticsOptions options;
    options.corpus = tests::corpus;
    options.out = folder.path() / out;
    options.layers = {1, 2};
    options.tokens = 300;
    options.sequence_length = 40;
    options.seconds_between_saves = 0;
    options.share_of_saves = 1;
    return options;
  }

  StatisticsSummary collect(
      const StatisticsOptions& options, const std::function<void(std::int64_t)>& progress = [](auto) {}) {
    torch::set_num_threads(1);
    const auto worlds = tests::thread_world(1);
    const auto device = sharding::make_device_communicator(*worlds.front(), torch::kCPU);
    return collect_key_statistics(model, tokenizer, fingerprint, options, {*worlds.front(), *device}, progress);
  }

  const tests::TemporaryDirectory folder;
  const io::ModelDirectory directory = tests::golden_model("llama_tied").directory;
  const Transformer model = load_transformer(directory);
  const io::Tokenizer tokenizer = io::Tokenizer::load(directory.tokenizer());
  const io::StatisticsFingerprint fingerprint{
      .model_name = "m", .model = "1", .tokenizer = "2", .corpus = "3", .sequence_length = 40};
};

TEST_F(KeyStatistics, SecondMomentsAndMediansAreThoseOfEveryTokensKey) {
  const auto wanted = options("s.h5");
  EXPECT_EQ(collect(wanted).tokens, 300);
  // One token after the other, by a plain loop.
  TextSequences text(wanted.corpus, tokenizer, wanted.sequence_length);
  auto sum = torch::zeros({model.config.d_ff, model.config.d_ff}, torch::kDouble);
  std::vector<float> norms;
  for (std::int64_t tokens = 0; tokens < 300;) {
    TokenIds ids = *text.next();
    ids.resize(std::min<std::size_t>(ids.size(), static_cast<std::size_t>(300 - tokens)));
    tokens += std::ssize(ids);
    const ForwardPass pass(model, lay_out(std::span(&ids, 1), {}, torch::kCPU));
    const BlockOutput output = pass.block(2, pass.blocks(0, 2, pass.embed()));
    for (std::int64_t t = 0; t < std::ssize(ids); ++t) {
      const auto key = output.key[t].to(torch::kDouble);
      sum += at::outer(key, key);
      norms.push_back(output.hidden[t].norm().item<float>());
    }
  }
  const auto file = io::StatisticsFile::load(wanted.out);
  tests::expect_close(to_tensor(file.moment(2).moment), sum / 300, 1e-5);
  std::ranges::nth_element(norms, norms.begin() + 150);
  EXPECT_NEAR(file.residual_norm_median()[2], norms[150], 1e-4);
  EXPECT_EQ(file.tokens(), 300);
}

TEST_F(KeyStatistics, AnInterruptedCollectionGoesOnToTheSameNumbers) {
  collect(options("whole.h5"));
  struct Interruption {};
  const auto interrupted = [&] {
    collect(options("parts.h5"), [](std::int64_t tokens) {
      if (tokens >= 120) throw Interruption();
    });
  };
  EXPECT_THROW(interrupted(), Interruption);
  const StatisticsSummary rest = collect(options("parts.h5"));
  EXPECT_GT(rest.tokens_resumed, 0);
  EXPECT_LT(rest.tokens_resumed, 300);
  const auto whole = io::StatisticsFile::load(folder.path() / "whole.h5"),
             parts = io::StatisticsFile::load(folder.path() / "parts.h5");
  for (const std::int64_t layer : {1, 2}) EXPECT_EQ(parts.moment(layer), whole.moment(layer));
  EXPECT_EQ(parts.residual_norm_median(), whole.residual_norm_median());
}

TEST_F(KeyStatistics, ATextThatIsTooShortIsToldInTokens) {
  auto wanted = options("s.h5");
  wanted.tokens = 100000;
  EXPECT_THROW(collect(wanted), io::UserError);
}

TEST_F(KeyStatistics, SequencesDependOnTheTextAlone) {
  TextSequences text(options("").corpus, tokenizer, 16);
  std::string whole;
  std::size_t full = 0;
  while (const auto sequence = text.next()) {
    full += sequence->size() == 16 ? 1 : 0;
    whole += tokenizer.decode(*sequence);
  }
  EXPECT_GT(full, 10U);
  EXPECT_TRUE(whole.starts_with("# Architecture\nAnchorage keeps")) << whole.substr(0, 40);
}

TEST_F(KeyStatistics, ATokenWithoutARowIsNamedWithItsLine) {
  const auto text = folder.write("rows.txt", "a b\n\nc </s> d\n");
  TextSequences sequences(text, tokenizer, 16, 320);
  EXPECT_TRUE(sequences.next());
  try {
    TextSequences(text, tokenizer, 16, 2).next();
    FAIL() << "no error";
  } catch (const io::UserError& error) {
    EXPECT_NE(std::string(error.what()).find("rows.txt, line 1"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace anchorage::worker
