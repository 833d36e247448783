#include "io/run/protected_keys.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "io/error.hpp"
#include "io/files/digest.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using tests::message_of;

std::vector<ProtectedLayer> sample_layers() {
  return {{.layer = 4, .keys = {.rows = 3, .columns = 2, .values = {1, 2, 3, 4, 5, 6}}},
          {.layer = 11, .keys = {.rows = 3, .columns = 2, .values = {-1, -2, -3, -4, -5, -6}}}};
}

class ProtectedKeysFile : public testing::Test {
 protected:
  RunRecord record() const {
    RunRecord record;
    record.protection = {.file = "/suite.jsonl", .digest = "ab", .keys = digest};
    return record;
  }

  const tests::TemporaryDirectory folder;
  const std::filesystem::path path = folder.path() / "protected.h5";
  const std::string digest = write_protected_keys(path, 2, sample_layers());
};

TEST_F(ProtectedKeysFile, GivesBackTheKeysOfEachLayerSomeAtATime) {
  const ProtectedKeys keys = ProtectedKeys::open(path);
  EXPECT_EQ(keys.prompts(), 2);
  EXPECT_EQ(keys.count(), 3);
  EXPECT_THAT(keys.layers(), ElementsAre(4, 11));
  for (const ProtectedLayer& one : sample_layers()) EXPECT_EQ(keys.rows(one.layer, 0, 3), one.keys);
  EXPECT_EQ(keys.rows(11, 1, 2), (Matrix{.rows = 1, .columns = 2, .values = {-3, -4}}));
  EXPECT_THROW(keys.rows(5, 0, 3), UserError);
}

TEST_F(ProtectedKeysFile, HasTheSameBytesForTheSameKeys) {
  EXPECT_EQ(digest, sha256_of_file(path));
  EXPECT_EQ(write_protected_keys(folder.path() / "again.h5", 2, sample_layers()), digest);
}

TEST_F(ProtectedKeysFile, StaysOpenForItsReadersWhenItIsGone) {
  const auto keys = protected_keys_of(folder.path(), record());
  std::filesystem::remove(path);
  EXPECT_EQ(keys->rows(4, 0, 3), sample_layers().front().keys);
}

TEST_F(ProtectedKeysFile, OfARunWithoutProtectionIsNotLookedFor) {
  EXPECT_FALSE(protected_keys_of(folder.path(), RunRecord{}).has_value());
}

TEST_F(ProtectedKeysFile, ThatIsMissingOrAnotherIsRefusedByItsRun) {
  EXPECT_EQ(protected_keys_of(folder.path(), record())->count(), 3);
  auto layers = sample_layers();
  layers.front().keys.values.front() = 7;
  write_protected_keys(path, 2, layers);
  EXPECT_THAT(message_of([&] { protected_keys_of(folder.path(), record()); }),
              AllOf(HasSubstr("the protected keys that the run began with"), HasSubstr("protected.h5"),
                    HasSubstr("put the file back")));
  std::filesystem::remove(path);
  EXPECT_THAT(message_of([&] { protected_keys_of(folder.path(), record()); }),
              AllOf(HasSubstr("found no such file"), HasSubstr("protected.h5")));
}

TEST_F(ProtectedKeysFile, OfAnotherKindIsRefused) {
  folder.write("other.h5", "no HDF5 at all");
  EXPECT_THROW(ProtectedKeys::open(folder.path() / "other.h5"), UserError);
}

TEST_F(ProtectedKeysFile, WithANumberThatIsNotFiniteIsNotWritten) {
  auto layers = sample_layers();
  layers.back().keys.values[3] = std::numeric_limits<float>::quiet_NaN();
  const auto bad = folder.path() / "bad.h5";
  EXPECT_THAT(message_of([&] { write_protected_keys(bad, 2, layers); }), HasSubstr("protected keys of layer 11"));
  EXPECT_FALSE(std::filesystem::exists(bad));
}

}  // namespace
}  // namespace anchorage::io
