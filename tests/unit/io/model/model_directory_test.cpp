#include "io/model/model_directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/places.hpp"
#include "tests/support/small_model.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::HasSubstr;

std::string refusal_of_directory(const std::filesystem::path& path) {
  return tests::message_of([&] { ModelDirectory::open(path); });
}

TEST(ModelDirectory, HoldsConfigWeightsAndTokenizer) {
  const tests::TemporaryDirectory directory;
  tests::write_small_model(directory);
  const ModelDirectory model = ModelDirectory::open(directory.path());
  EXPECT_EQ(model.config().layers, 1);
  EXPECT_TRUE(model.weights().contains("a"));
  EXPECT_EQ(model.tokenizer(), directory.path() / "tokenizer.json");
}

TEST(ModelDirectory, IsRefusedWhereItIsNone) {
  const tests::TemporaryDirectory directory;
  tests::write_small_model(directory);
  EXPECT_THAT(refusal_of_directory(directory.path() / "none"),
              HasSubstr("expected a model directory, found nothing"));
  EXPECT_THAT(refusal_of_directory(directory.path() / "config.json"),
              HasSubstr("expected a model directory, found a file"));
  std::filesystem::remove(directory.path() / "config.json");
  EXPECT_THAT(refusal_of_directory(directory.path()), HasSubstr("the file config.json"));
}

TEST(ModelDirectory, MissingTokenizerIsRefusedOnlyWhenItIsAskedFor) {
  const tests::TemporaryDirectory directory;
  tests::write_small_model(directory);
  std::filesystem::remove(directory.path() / "tokenizer.json");
  const ModelDirectory model = ModelDirectory::open(directory.path());
  const auto refusal = [&] { return tests::message_of([&] { model.tokenizer(); }); };
  EXPECT_THAT(refusal(), HasSubstr("the file tokenizer.json, found none"));
  directory.write("vocab.json", "{}");
  EXPECT_THAT(refusal(), HasSubstr("found none"));
  directory.write("merges.txt", "");
  EXPECT_THAT(refusal(), testing::AllOf(HasSubstr("found vocab.json and merges.txt"),
                                        HasSubstr("AutoTokenizer.from_pretrained(\"" + directory.path().string())));
  directory.write("tokenizer.model", "");
  EXPECT_THAT(refusal(), HasSubstr("found tokenizer.model"));
}

std::string fingerprint_of(const tests::SmallModel& model) {
  const tests::TemporaryDirectory directory;
  tests::write_small_model(directory, model);
  return ModelDirectory::open(directory.path()).fingerprint();
}

TEST(ModelFingerprint, ChangesWithAnyByteOfAnyTensorAndWithTheConfig) {
  const std::string original = fingerprint_of({});
  EXPECT_EQ(original.size(), 64U);
  EXPECT_EQ(fingerprint_of({}), original);
  EXPECT_NE(fingerprint_of({.first_weight = 1.5F}), original);
  EXPECT_NE(fingerprint_of({.last_weight = 1.5F}), original);
  EXPECT_NE(fingerprint_of({.rope_theta = 11.0}), original);
}

TEST(ModelFingerprint, DoesNotChangeWithTheDivisionIntoShards) {
  EXPECT_EQ(fingerprint_of({.layout = tests::Layout::two_shards}), fingerprint_of({}));
}

TEST(ModelFingerprint, IsTheSameEachTimeForRealWeights) {
  const std::filesystem::path path = tests::source_path() + "/../shared/data/models/stories260K-hf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "the shared data are not here: " << path;
  const ModelDirectory model = ModelDirectory::open(path);
  EXPECT_EQ(model.config().d_ff, 172);
  EXPECT_EQ(model.weights().at("model.layers.4.mlp.down_proj.weight").shape, (std::vector<std::int64_t>{64, 172}));
  EXPECT_EQ(model.fingerprint(), ModelDirectory::open(path).fingerprint());
}

}  // namespace
}  // namespace anchorage::io
