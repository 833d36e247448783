// Our files and those of the Python package `safetensors`, read by the other; and our rounding against torch's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "io/model/float_conversion.hpp"
#include "io/model/safetensors.hpp"
#include "tests/support/places.hpp"
#include "tests/support/safetensors_writer.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Exit status of tests/golden/safetensors_interop.py.
int run_python(const std::string& action, const std::filesystem::path& file) {
  const std::string command = tests::python_path() + " " + tests::source_path() +
                              "/tests/golden/safetensors_interop.py " + action + " '" + file.string() + "'";
  return std::system(command.c_str());
}

std::vector<float> values_of(const TensorView& tensor) {
  return decode(tensor.bytes, tensor.dtype);
}

bool same_bytes(std::span<const std::byte> left, std::span<const std::byte> right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end());
}

class FileWrittenByPython : public testing::Test {
 protected:
  // Once for all of these tests: starting torch takes seconds.
  static void SetUpTestSuite() {
    directory_ = std::make_unique<tests::TemporaryDirectory>();
    status_ = run_python("write", directory_->path() / "x.safetensors");
  }
  static void TearDownTestSuite() { directory_.reset(); }
  void SetUp() override { ASSERT_EQ(status_, 0); }

  static SafetensorsFile file() { return SafetensorsFile::open(directory_->path() / "x.safetensors"); }

 private:
  static inline std::unique_ptr<tests::TemporaryDirectory> directory_;
  static inline int status_ = -1;
};

TEST_F(FileWrittenByPython, GivesEachDtypesShapeAndValues) {
  const SafetensorsFile file = FileWrittenByPython::file();
  EXPECT_EQ(file.at("f32").dtype, DType::f32);
  EXPECT_THAT(file.at("f32").shape, ElementsAre(2, 3));
  EXPECT_THAT(values_of(file.at("f32")), ElementsAre(1.5F, -2.0F, 3.25F, 0.0F, 1e-40F, 3e38F));
  EXPECT_EQ(file.at("f16").dtype, DType::f16);
  EXPECT_THAT(values_of(file.at("f16")), ElementsAre(1.5F, -2.0F, 0x1p-24F));
  EXPECT_EQ(file.at("bf16").dtype, DType::bf16);
  EXPECT_THAT(file.at("bf16").shape, ElementsAre(2, 1));
  EXPECT_THAT(values_of(file.at("bf16")), ElementsAre(1.5F, -2.0F));
}

TEST_F(FileWrittenByPython, GivesScalarsEmptyTensorsAndMetadata) {
  const SafetensorsFile file = FileWrittenByPython::file();
  EXPECT_THAT(file.at("scalar").shape, IsEmpty());
  EXPECT_THAT(values_of(file.at("scalar")), ElementsAre(4.5F));
  EXPECT_THAT(file.at("empty").shape, ElementsAre(0, 3));
  EXPECT_THAT(file.at("empty").bytes, IsEmpty());
  EXPECT_EQ(file.metadata().at("written by"), "torch");
  EXPECT_EQ(file.stored("mask").dtype, "BOOL");
}

TEST_F(FileWrittenByPython, HoldsTheRoundingThatEncodeGives) {
  const SafetensorsFile file = FileWrittenByPython::file();
  const std::vector<float> values = values_of(file.at("values"));
  ASSERT_GT(values.size(), 100'000U);
  EXPECT_TRUE(same_bytes(encode(values, DType::f16), file.at("values.f16").bytes));
  EXPECT_TRUE(same_bytes(encode(values, DType::bf16), file.at("values.bf16").bytes));
  EXPECT_TRUE(same_bytes(encode(values, DType::f32), file.at("values").bytes));
}

TEST_F(FileWrittenByPython, HoldsTheValueThatDecodeGivesForEveryF16) {
  const SafetensorsFile file = FileWrittenByPython::file();
  const std::vector<float> values = values_of(file.at("every_f16"));
  ASSERT_GT(values.size(), 63'000U);
  EXPECT_TRUE(same_bytes(std::as_bytes(std::span(values)), file.at("every_f16.f32").bytes));
}

TEST(FileWrittenForPython, IsReadBackWithNamesShapesDtypesAndValues) {
  const tests::TemporaryDirectory directory;
  const auto half = encode(std::vector<float>{0.5F, -1.0F, 2.0F}, DType::f16);
  const auto single = encode(std::vector<float>{1.5F, -2.0F, 3.0F, 4.0F}, DType::f32);
  const auto scalar = encode(std::vector<float>{-0.25F}, DType::bf16);
  tests::write_safetensors(directory.path() / "x.safetensors",
                           std::vector<tests::NamedTensor>{{"half", {DType::f16, {3}, half}},
                                                           {"after an odd size", {DType::f32, {2, 2}, single}},
                                                           {"scalar", {DType::bf16, {}, scalar}},
                                                           {"empty", {DType::f32, {0, 3}, {}}}});
  EXPECT_EQ(run_python("check", directory.path() / "x.safetensors"), 0);
}

}  // namespace
}  // namespace anchorage::io
