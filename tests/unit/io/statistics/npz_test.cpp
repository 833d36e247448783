// Archives that NumPy wrote (tests/golden/hdf5_interop.py), and ROME's statistics in them.
#include "io/statistics/npz.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "io/statistics/rome_statistics.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/places.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using tests::message_of;

class Npz : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = std::make_unique<tests::TemporaryDirectory>();
    const std::string command = tests::python_path() + " " + tests::source_path() +
                                "/tests/golden/hdf5_interop.py write-npz '" + directory_->path().string() + "'";
    status_ = std::system(command.c_str());
  }
  static void TearDownTestSuite() { directory_.reset(); }
  void SetUp() override { ASSERT_EQ(status_, 0); }
  static std::filesystem::path at(const std::string& name) { return directory_->path() / name; }

  static inline std::unique_ptr<tests::TemporaryDirectory> directory_;
  static inline int status_ = -1;
};

TEST_F(Npz, GivesWhatNumpySavedPlainOrCompressed) {
  for (const std::string name : {"plain.npz", "compressed.npz"}) {
    const NpzFile file(at(name));
    EXPECT_THAT(file.names(), Contains("f4"));
    EXPECT_TRUE(file.contains("f4"));
    EXPECT_FALSE(file.contains("f5"));
    EXPECT_EQ(file.read("f4").element, "<f4");
    EXPECT_THAT(file.read("f4").shape, ElementsAre(2, 2));
    EXPECT_THAT(file.read("f4").values, ElementsAre(1.5, -2, 3, 4));
    EXPECT_THAT(file.read("f8").values, ElementsAre(0.1));
    EXPECT_THAT(file.read("i8").values, ElementsAre(7));
    EXPECT_THAT(file.read("i8").shape, IsEmpty());
    EXPECT_THAT(file.read("i4").values, ElementsAre(1, -2));
    EXPECT_THAT(file.read("empty").shape, ElementsAre(0, 3));
    const NpyArray big = file.read("big");
    ASSERT_EQ(big.values.size(), 400'000U);
    EXPECT_EQ(big.values.back(), 399'999);
  }
}

TEST_F(Npz, TurnsFortranOrderIntoRowMajorOrder) {
  const NpyArray array = NpzFile(at("plain.npz")).read("fortran");
  EXPECT_THAT(array.shape, ElementsAre(2, 3, 4));
  ASSERT_EQ(array.values.size(), 24U);
  for (std::size_t i = 0; i < 24; ++i) EXPECT_EQ(array.values[i], static_cast<double>(i));
}

TEST_F(Npz, RefusesOtherElementTypesByName) {
  const NpzFile file(at("plain.npz"));
  EXPECT_THAT(message_of([&] { file.read("f2"); }), HasSubstr("found <f2"));
  EXPECT_THAT(message_of([&] { file.read("text"); }), HasSubstr("found <U12"));
  EXPECT_THAT(message_of([&] { file.read("huge"); }), HasSubstr("integers up to 2^53"));
  EXPECT_THAT(message_of([&] { file.read("none"); }), HasSubstr("plain.npz:none"));
}

TEST_F(Npz, RefusesADamagedArchive) {
  EXPECT_THAT(message_of([&] { NpzFile(at("nowhere.npz")); }), HasSubstr("nowhere.npz"));
  directory_->write("text.npz", "not a zip archive");
  EXPECT_THAT(message_of([&] { NpzFile(at("text.npz")); }), HasSubstr("expected an .npz file"));
  const std::string content = tests::content_of(at("plain.npz"));
  directory_->write("cut.npz", content.substr(0, content.size() / 2));
  EXPECT_THAT(message_of([&] { NpzFile(at("cut.npz")); }), HasSubstr("cut.npz"));
  std::string altered = content;
  altered[altered.size() / 2] = static_cast<char>(altered[altered.size() / 2] ^ 1);  // in "big"
  directory_->write("altered.npz", altered);
  EXPECT_THAT(message_of([&] { NpzFile(at("altered.npz")).read("big"); }), HasSubstr("CRC error"));
}

TEST_F(Npz, GivesRomesStatisticsAsAMean) {
  const std::string bytes = tests::content_of(at("keys.f32"));
  std::vector<float> keys(50 * 8);
  ASSERT_EQ(bytes.size(), keys.size() * sizeof(float));
  std::memcpy(keys.data(), bytes.data(), bytes.size());
  const ImportedMoment imported = import_rome_statistics(at("rome.npz"), 17, 8);
  EXPECT_EQ(imported.tokens, 50);
  EXPECT_EQ(imported.moment.layer, 17);
  ASSERT_EQ(imported.moment.moment.values.size(), 64U);
  for (std::size_t i = 0; i < 8; ++i) {
    for (std::size_t j = 0; j < 8; ++j) {
      double mean = 0;
      for (std::size_t t = 0; t < 50; ++t) mean += static_cast<double>(keys[8 * t + i]) * keys[8 * t + j] / 50;
      EXPECT_NEAR(imported.moment.moment.values[8 * i + j], mean, 1e-6);
    }
  }
}

TEST_F(Npz, RefusesStatisticsThatCannotBe) {
  const auto refusal = [](const std::string& name, std::int64_t size) {
    return message_of([&] { import_rome_statistics(at(name), 17, size); });
  };
  EXPECT_THAT(refusal("rome.npz", 9),
              HasSubstr("expected second moments [9, 9], as the model's d_ff is, found [8, 8]"));
  EXPECT_THAT(refusal("no_count.npz", 8), HasSubstr("no mom2.count"));
  EXPECT_THAT(refusal("zero.npz", 8), HasSubstr("at least one token"));
  EXPECT_THAT(refusal("lopsided.npz", 8), HasSubstr("a finite symmetric matrix"));
  EXPECT_THAT(refusal("infinite.npz", 8), HasSubstr("inf at [3, 3]"));
  EXPECT_THAT(refusal("nan.npz", 8), HasSubstr("nan at [5, 2]"));
  EXPECT_THAT(refusal("nan_count.npz", 8), HasSubstr("at least one token in mom2.count, found nan"));
  EXPECT_THAT(refusal("plain.npz", 8), HasSubstr("no mom2.mom2"));
}

}  // namespace
}  // namespace anchorage::io
