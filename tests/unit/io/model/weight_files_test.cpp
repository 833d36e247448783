#include "io/model/weight_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/raw_safetensors.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string file_with(const std::string& tensor, const std::string& data) {
  return tests::raw_safetensors("{\"" + tensor + R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", data);
}

void write_shards(const tests::TemporaryDirectory& directory) {
  directory.write("one.safetensors", file_with("b", "bbbb"));
  directory.write("two.safetensors", file_with("a", "aaaa"));
  directory.write("model.safetensors.index.json",
                  R"({"metadata":{"total_size":8},"weight_map":{"b":"one.safetensors","a":"two.safetensors"}})");
}

TEST(WeightFiles, AreOneFileWhereThereIsOne) {
  const tests::TemporaryDirectory directory;
  directory.write("model.safetensors", file_with("a", "aaaa"));
  const WeightFiles weights = WeightFiles::open(directory.path());
  EXPECT_THAT(weights.names(), ElementsAre("a"));
  EXPECT_EQ(weights.index(), std::nullopt);
}

TEST(WeightFiles, AreFoundInTheirShards) {
  const tests::TemporaryDirectory directory;
  write_shards(directory);
  const WeightFiles weights = WeightFiles::open(directory.path());
  EXPECT_THAT(weights.names(), ElementsAre("a", "b"));
  EXPECT_EQ(weights.at("a").bytes[0], std::byte{'a'});
  EXPECT_EQ(weights.at("b").bytes[0], std::byte{'b'});
  EXPECT_EQ(weights.files().size(), 2U);
}

TEST(WeightFiles, AreThoseOfTheSingleFileWhereBothLayoutsAreThere) {
  const tests::TemporaryDirectory directory;
  write_shards(directory);
  directory.write("model.safetensors", file_with("c", "cccc"));
  EXPECT_THAT(WeightFiles::open(directory.path()).names(), ElementsAre("c"));
}

TEST(WeightFiles, InAnotherFormAreToldWithTheWayToConvertThem) {
  const tests::TemporaryDirectory directory;
  const auto refusal = [&] { return tests::message_of([&] { WeightFiles::open(directory.path()); }); };
  EXPECT_THAT(refusal(), HasSubstr("found neither"));
  directory.write("model-00001-of-00001.safetensors", file_with("a", "aaaa"));
  EXPECT_THAT(refusal(), HasSubstr("get model.safetensors.index.json too"));
  directory.write("pytorch_model.bin", "PK");
  EXPECT_THAT(refusal(), testing::AllOf(HasSubstr("found pytorch_model.bin"),
                                        HasSubstr(".save_pretrained(\"" + directory.path().string())));
}

TEST(WeightFiles, ThatAreAGitLfsPointerAreCalledThat) {
  const tests::TemporaryDirectory directory;
  directory.write("model.safetensors",
                  "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 538090408\n");
  EXPECT_THAT(tests::message_of([&] { WeightFiles::open(directory.path()); }),
              testing::AllOf(HasSubstr("found a git-lfs pointer"), HasSubstr("model.safetensors"),
                             HasSubstr("git lfs pull")));
}

TEST(WeightFiles, RefusalOfAnUnknownTensorNamesTheIndex) {
  const tests::TemporaryDirectory directory;
  write_shards(directory);
  const WeightFiles weights = WeightFiles::open(directory.path());
  EXPECT_FALSE(weights.contains("c"));
  try {
    weights.at("c");
    FAIL() << "no exception";
  } catch (const UserError& error) {
    EXPECT_THAT(std::string(error.what()), HasSubstr("expected the tensor 'c'"));
    EXPECT_THAT(std::string(error.what()), HasSubstr("model.safetensors.index.json"));
  }
}

TEST(WeightFiles, AreRefusedWhereTheDirectoryHasOnlyOtherFormats) {
  const tests::TemporaryDirectory directory;
  directory.write("pytorch_model.bin", "pickle");
  try {
    WeightFiles::open(directory.path());
    FAIL() << "no exception";
  } catch (const UserError& error) {
    EXPECT_THAT(std::string(error.what()), HasSubstr("model.safetensors or model.safetensors.index.json"));
  }
}

}  // namespace
}  // namespace anchorage::io
