#include "io/model/safetensors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "io/error.hpp"
#include "tests/support/raw_safetensors.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// In the header 'b' stands first, in the data 'a' does; 'mask' is of a dtype that is not read.
const std::string sample = tests::raw_safetensors(R"({"__metadata__":{"format":"pt"},
  "b":{"dtype":"F16","shape":[1,3],"data_offsets":[4,10]}, "mask":{"dtype":"U8","shape":[2],"data_offsets":[10,12]},
  "a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   )",
                                                  "aaaabbbbbbmm");

class Safetensors : public testing::Test {
 protected:
  tests::TemporaryDirectory directory_;
  SafetensorsFile file_ = SafetensorsFile::open(directory_.write("x.safetensors", sample));
};

TEST_F(Safetensors, TensorsAreInTheOrderOfTheirBytes) {
  EXPECT_THAT(file_.names(), ElementsAre("a", "b", "mask"));
  EXPECT_THAT(file_.metadata(), ElementsAre(testing::Pair("format", "pt")));
}

TEST_F(Safetensors, ViewsShowTheBytesOfTheFile) {
  const TensorView view = file_.at("b");
  EXPECT_EQ(view.dtype, DType::f16);
  EXPECT_THAT(view.shape, ElementsAre(1, 3));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(view.bytes.data()), view.bytes.size()), "bbbbbb");
}

TEST_F(Safetensors, ViewsOutliveAMoveOfTheFile) {
  const TensorView view = file_.at("a");
  const SafetensorsFile moved = std::move(file_);
  EXPECT_EQ(view.bytes.data(), moved.at("a").bytes.data());
  EXPECT_EQ(view.bytes[3], std::byte{'a'});
}

TEST_F(Safetensors, UnreadableDtypeIsRefusedOnlyWhenItsTensorIsAskedFor) {
  EXPECT_TRUE(file_.contains("mask"));
  EXPECT_EQ(file_.stored("mask").bytes.size(), 2U);
  try {
    file_.at("mask");
    FAIL() << "no exception";
  } catch (const UserError& error) {
    EXPECT_THAT(std::string(error.what()), HasSubstr("found U8, in tensor 'mask' of "));
  }
}

TEST_F(Safetensors, UnknownNameIsRefusedWithNameAndFile) {
  EXPECT_FALSE(file_.contains("c"));
  try {
    file_.at("c");
    FAIL() << "no exception";
  } catch (const UserError& error) {
    EXPECT_THAT(std::string(error.what()), HasSubstr("expected the tensor 'c'"));
    EXPECT_THAT(std::string(error.what()), HasSubstr("x.safetensors"));
  }
}

TEST_F(Safetensors, FileWithoutTensorsIsAFile) {
  EXPECT_THAT(SafetensorsFile::open(directory_.write("y", tests::raw_safetensors("{}", ""))).names(),
              ElementsAre());
}

TEST_F(Safetensors, PathsThatAreNoRegularFileAreRefused) {
  EXPECT_THROW(SafetensorsFile::open(directory_.path() / "none"), UserError);
  EXPECT_THROW(SafetensorsFile::open(directory_.path()), UserError);
  EXPECT_THROW(SafetensorsFile::open("/dev/null"), UserError);
  const std::filesystem::path pipe = directory_.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(SafetensorsFile::open(pipe), UserError);
}

}  // namespace
}  // namespace anchorage::io
