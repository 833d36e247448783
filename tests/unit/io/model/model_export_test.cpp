#include "io/model/model_export.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>
#include <utility>

#include "io/error.hpp"
#include "io/files/staging_directory.hpp"
#include "io/model/float_conversion.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/places.hpp"
#include "tests/support/small_model.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using tests::content_of;

std::vector<fs::path> files_in(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(directory));
  }
  std::sort(files.begin(), files.end());
  return files;
}

void expect_same_files(const fs::path& left, const fs::path& right) {
  ASSERT_EQ(files_in(left), files_in(right));
  for (const fs::path& file : files_in(left)) EXPECT_EQ(content_of(left / file), content_of(right / file)) << file;
}

std::vector<float> exported_values(const fs::path& directory, const char* name) {
  const WeightFiles weights = WeightFiles::open(directory);
  return decode(weights.at(name).bytes, weights.at(name).dtype);
}

class ModelExport : public testing::Test {
 protected:
  ModelExport() { tests::write_small_model(base_); }

  ExportReport export_with(const std::map<std::string, EditedTensor>& edited,
                           Unchanged unchanged = Unchanged::copy) const {
    StagingDirectory staging(out_, base_.path());
    ExportReport report = export_model(ModelDirectory::open(base_.path()), staging.path(), edited, unchanged);
    staging.rename_to_target();
    return report;
  }

  std::string refusal_of(const std::map<std::string, EditedTensor>& edited) const {
    return tests::message_of([&] { export_with(edited); });
  }

  tests::TemporaryDirectory base_;
  tests::TemporaryDirectory outside_;
  fs::path out_ = outside_.path() / "deep" / "edited";
};

TEST_F(ModelExport, WithoutEditsIsACopy) {
  base_.write("LICENSE", "as it was");
  base_.write("generation_config.json", "{}");
  base_.write("templates/chat.jinja", "{{ }}");
  base_.write("empty", "");
  const ExportReport report = export_with({});
  expect_same_files(base_.path(), out_);
  EXPECT_THAT(report.tensors, IsEmpty());
  EXPECT_THAT(report.left_out, IsEmpty());
}

TEST_F(ModelExport, KeepsShardsAndIndex) {
  fs::remove(base_.path() / "model.safetensors");
  tests::write_small_model(base_, {.layout = tests::Layout::two_shards});
  export_with({});
  expect_same_files(base_.path(), out_);
}

TEST_F(ModelExport, ReplacesTheEditedTensorsAndNoOtherByte) {
  for (const tests::Layout layout : {tests::Layout::one_file, tests::Layout::two_shards}) {
    fs::remove(base_.path() / "model.safetensors");
    fs::remove_all(out_);
    tests::write_small_model(base_, {.layout = layout});
    const std::vector<float> a = {9.0F, 2.0F, 3.0F, 4.0F};
    const std::vector<float> c = {-1.0F, 7.0F};
    export_with({{"a", {{2, 2}, a}}, {"c", {{2}, c}}});
    const tests::TemporaryDirectory expected;
    tests::write_small_model(expected, {.layout = layout, .first_weight = 9.0F, .last_weight = 7.0F});
    expect_same_files(expected.path(), out_);
  }
}

TEST_F(ModelExport, RoundsToTheDtypeOfTheBaseAndTellsWhatWasLost) {
  // Of bf16's neighbors of 1, 2 and 3 the nearest are 2^-7, 2^-6 and 2^-6 away.
  const std::vector<float> b = {1.0F + 0x1p-9F, 2.0F + 0x1.8p-7F, 3.0F};
  const ExportReport report = export_with({{"b", {{3}, b}}});
  EXPECT_THAT(exported_values(out_, "b"), ElementsAre(1.0F, 2.0F + 0x1p-6F, 3.0F));
  EXPECT_EQ(report.tensors.at("b").values, 3);
  EXPECT_EQ(report.tensors.at("b").edited, 2);
  EXPECT_EQ(report.tensors.at("b").kept, 1);
}

TEST_F(ModelExport, LeavesOutWeightsThatWouldStillBeUnedited) {
  base_.write("pytorch_model.bin", "old");
  base_.write("pytorch_model.bin.index.json", "{}");
  base_.write("consolidated.safetensors", "old");
  base_.write("onnx/model.onnx", "old");
  base_.write(".git/config", "");
  const ExportReport report = export_with({});
  EXPECT_THAT(report.left_out, ElementsAre(".git", "consolidated.safetensors", "onnx/model.onnx",
                                           "pytorch_model.bin", "pytorch_model.bin.index.json"));
  EXPECT_THAT(files_in(out_), ElementsAre("config.json", "model.safetensors", "tokenizer.json"));
}

TEST_F(ModelExport, LeavesOutWhatTheBaseSaysOfItself) {
  base_.write("README.md", "unedited");
  base_.write("SHA256SUMS", "of the base");
  base_.write("docs/README.md", "of the folder");
  EXPECT_THAT(export_with({}).left_out, ElementsAre("README.md", "SHA256SUMS"));
  EXPECT_THAT(files_in(out_), ElementsAre("config.json", "docs/README.md", "model.safetensors", "tokenizer.json"));
}

class SharingExport : public ModelExport {
 protected:
  SharingExport() {
    fs::remove(base_.path() / "model.safetensors");
    tests::write_small_model(base_, {.layout = tests::Layout::two_shards});
  }

  static constexpr auto edited_shard = "model-00001-of-00002.safetensors";
  static constexpr auto other_shard = "model-00002-of-00002.safetensors";
  const std::vector<float> a_ = {9.0F, 2.0F, 3.0F, 4.0F};
  const std::map<std::string, EditedTensor> edited_ = {{"a", {{2, 2}, a_}}};
};

TEST_F(SharingExport, WritesTheEditedShardAloneAndSharesTheOther) {
  const ExportReport report = export_with(edited_, Unchanged::share);
  EXPECT_EQ(report.weights.at(edited_shard), Placement::written);
  const Placement placement = report.weights.at(other_shard);
  EXPECT_THAT(placement, testing::AnyOf(Placement::reflinked, Placement::hard_linked));
  EXPECT_EQ(fs::equivalent(base_.path() / other_shard, out_ / other_shard), placement == Placement::hard_linked);
  EXPECT_FALSE(fs::equivalent(base_.path() / edited_shard, out_ / edited_shard));
  EXPECT_FALSE(fs::equivalent(base_.path() / "config.json", out_ / "config.json")) << "people change it in place";
  const fs::path shared = std::exchange(out_, outside_.path() / "copied");
  EXPECT_EQ(export_with(edited_).weights.at(other_shard), Placement::copied);
  expect_same_files(shared, out_);
}

TEST_F(SharingExport, NeverWritesThroughALink) {
  const std::string before = content_of(base_.path() / other_shard);
  export_with({}, Unchanged::share);
  fs::remove_all(out_);
  const std::vector<float> b = {7.0F, 8.0F, 9.0F};
  export_with({{"b", {{3}, b}}}, Unchanged::share);
  EXPECT_NE(content_of(out_ / other_shard), before);
  EXPECT_EQ(content_of(base_.path() / other_shard), before);
}

TEST_F(SharingExport, LinksTheFileThatALinkOfACacheLeadsTo) {
  fs::rename(base_.path() / other_shard, outside_.path() / "blob");
  fs::create_symlink(outside_.path() / "blob", base_.path() / other_shard);
  export_with(edited_, Unchanged::share);
  EXPECT_FALSE(fs::is_symlink(out_ / other_shard));
  EXPECT_EQ(content_of(out_ / other_shard), content_of(outside_.path() / "blob"));
}

TEST_F(SharingExport, CopiesToAnotherFileSystem) {
  const fs::path other = "/dev/shm";
  struct stat here {
  }, there{};
  if (::stat(base_.path().c_str(), &here) != 0 || ::stat(other.c_str(), &there) != 0 || here.st_dev == there.st_dev)
    GTEST_SKIP() << "there is no second file system at " << other;
  out_ = other / fmt::format("anchorage-export-{}", ::getpid());
  EXPECT_EQ(export_with(edited_, Unchanged::share).weights.at(other_shard), Placement::copied);
  EXPECT_EQ(content_of(out_ / other_shard), content_of(base_.path() / other_shard));
  fs::remove_all(out_);
}

TEST_F(ModelExport, CopiesWhatLinksPointTo) {
  const fs::path target = outside_.write("blob", "content");
  fs::create_symlink(target, base_.path() / "merges.txt");
  export_with({});
  EXPECT_FALSE(fs::is_symlink(out_ / "merges.txt"));
  EXPECT_EQ(content_of(out_ / "merges.txt"), "content");
}

TEST_F(ModelExport, FillsAnEmptyDirectoryAndRefusesAnyOther) {
  fs::create_directories(out_);
  export_with({});
  EXPECT_THAT(refusal_of({}), HasSubstr("a new or an empty output directory, found one with files in it"));
  out_ = outside_.write("file", "");
  EXPECT_THAT(refusal_of({}), HasSubstr("a new or an empty output directory, found a file"));
  EXPECT_EQ(content_of(out_), "");
}

TEST_F(ModelExport, AcceptsAPathThatEndsInASlash) {
  out_ /= "";
  export_with({});
  EXPECT_TRUE(fs::exists(out_ / "config.json"));
  fs::remove_all(out_);
  fs::create_directories(out_);
  export_with({});
  EXPECT_TRUE(fs::exists(out_ / "config.json"));
}

TEST_F(ModelExport, RefusesToWriteIntoTheBase) {
  out_ = base_.path() / "x" / "edited";
  EXPECT_THAT(refusal_of({}), HasSubstr("an output directory outside the model's"));
  EXPECT_FALSE(fs::exists(base_.path() / "x"));
}

TEST_F(ModelExport, RefusesWhereAnEarlierExportWasStopped) {
  fs::create_directories(out_.string() + ".partial");
  EXPECT_THAT(refusal_of({}), HasSubstr("edited.partial; remove this directory"));
  EXPECT_TRUE(fs::exists(out_.string() + ".partial"));
}

TEST_F(ModelExport, RefusesEditsThatAreNotOfThisModel) {
  const std::vector<float> values(4, 1.0F);
  EXPECT_THAT(refusal_of({{"d", {{4}, values}}}), HasSubstr("expected the tensor 'd'"));
  EXPECT_THAT(refusal_of({{"a", {{4}, values}}}),
              HasSubstr("the shape [2, 2], found [4], in the edited tensor 'a'"));
  EXPECT_FALSE(fs::exists(out_));
}

TEST_F(ModelExport, RefusesValuesThatTheDtypeCannotHoldAndLeavesNothing) {
  const std::vector<float> large = {1.0F, 70000.0F};
  EXPECT_THAT(refusal_of({{"c", {{2}, large}}}), HasSubstr("values that F16 can hold, found 70000"));
  const std::vector<float> none(4, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(refusal_of({{"a", {{2, 2}, none}}}), HasSubstr("values that F32 can hold, found nan"));
  EXPECT_THAT(files_in(outside_.path()), IsEmpty());
}

TEST_F(ModelExport, OfRealWeightsIsACopy) {
  const fs::path path = tests::source_path() + "/../shared/data/models/stories260K-hf";
  if (!fs::exists(path)) GTEST_SKIP() << "the shared data are not here: " << path;
  StagingDirectory staging(out_, path);
  export_model(ModelDirectory::open(path), staging.path(), {});
  staging.rename_to_target();
  expect_same_files(path, out_);
}

}  // namespace
}  // namespace anchorage::io
