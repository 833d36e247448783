// Directories whose index and shards do not belong together. All must be refused by a message that says the
// reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/error.hpp"
#include "io/model/weight_files.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/raw_safetensors.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr const char* first = "model-00001-of-00002.safetensors";
constexpr const char* second = "model-00002-of-00002.safetensors";

std::string shard_with(const std::string& tensor) {
  return tests::raw_safetensors("{\"" + tensor + R"(":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "abcd");
}

std::string index_of(const std::string& entries) {
  return "{\"weight_map\":{" + entries + "}}";
}

const std::string a_in_first = R"("a":"model-00001-of-00002.safetensors")";
const std::string b_in_second = R"("b":"model-00002-of-00002.safetensors")";
const std::string good_index = index_of(a_in_first + "," + b_in_second);

// A model whose tensor 'a' is in the first shard and 'b' in the second.
class HostileShards : public testing::Test {
 protected:
  HostileShards() {
    directory_.write(first, shard_with("a"));
    directory_.write(second, shard_with("b"));
  }

  std::string refusal_of(const std::string& index) const {
    directory_.write("model.safetensors.index.json", index);
    return tests::message_of([&] { WeightFiles::open(directory_.path()); });
  }

  tests::TemporaryDirectory directory_;
};

TEST_F(HostileShards, AreAcceptedWhereNothingIsWrong) {
  EXPECT_EQ(refusal_of(good_index), "no error");
}

TEST_F(HostileShards, RefusedWhereAShardIsMissingFromTheIndex) {
  EXPECT_THAT(refusal_of(index_of(a_in_first)),
              AllOf(HasSubstr("2 shards, as the name model-00001-of-00002.safetensors says, found 1"),
                    HasSubstr("index.json")));
}

TEST_F(HostileShards, RefusedWhereAShardIsMissingFromTheDisk) {
  std::filesystem::remove(directory_.path() / second);
  EXPECT_THAT(refusal_of(good_index), HasSubstr("the shard model-00002-of-00002.safetensors"));
}

TEST_F(HostileShards, RefusedWhereAShardLacksATensor) {
  EXPECT_THAT(refusal_of(index_of(a_in_first + "," + b_in_second + R"(,"c":"model-00002-of-00002.safetensors")")),
              AllOf(HasSubstr("tensor 'c'"), HasSubstr("found none"), HasSubstr(second)));
}

// As transformers 5 does.
TEST_F(HostileShards, AreTakenWithATensorThatTheIndexDoesNotName) {
  directory_.write(second, tests::raw_safetensors(R"({"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
                                                     "c":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})",
                                                  "abcdef"));
  EXPECT_EQ(refusal_of(good_index), "no error");
  const WeightFiles weights = WeightFiles::open(directory_.path());
  EXPECT_THAT(weights.names(), testing::ElementsAre("a", "b", "c"));
  EXPECT_EQ(weights.stored("c").bytes.front(), std::byte{'e'});
}

TEST_F(HostileShards, RefusedWhereATensorIsInAnotherShardThanTheIndexNames) {
  EXPECT_THAT(refusal_of(index_of(R"("a":"model-00002-of-00002.safetensors",)" + b_in_second +
                                  R"(,"d":"model-00001-of-00002.safetensors")")),
              AllOf(HasSubstr(std::string(first) + " for its tensor 'a'"), HasSubstr(second)));
}

TEST_F(HostileShards, RefusedWhereATensorIsInTwoShards) {
  directory_.write(second, shard_with("a"));
  EXPECT_THAT(refusal_of(good_index), AllOf(HasSubstr(second), HasSubstr("tensor 'a'"), HasSubstr(first)));
}

TEST_F(HostileShards, RefusedWhereAShardIsDamaged) {
  directory_.write(second, "short");
  EXPECT_THAT(refusal_of(good_index), AllOf(HasSubstr("found a file of 5 bytes"), HasSubstr(second)));
}

TEST_F(HostileShards, RefusedWhereTheIndexNamesATensorTwice) {
  EXPECT_THAT(refusal_of(index_of(a_in_first + "," + a_in_first)), HasSubstr("'a' twice"));
}

TEST_F(HostileShards, RefusedWhereAShardLiesOutsideTheDirectory) {
  for (const std::string shard :
       {"../x.safetensors", "/x.safetensors", "..", ".", "sub/x.safetensors", "one\\u0000two", ""}) {
    EXPECT_THAT(refusal_of(index_of("\"a\":\"" + shard + "\"")), HasSubstr("plain file names")) << shard;
  }
}

TEST_F(HostileShards, RefusedWhereTheIndexIsNone) {
  EXPECT_THAT(refusal_of(""), HasSubstr("expected JSON"));
  EXPECT_THAT(refusal_of("{"), HasSubstr("expected JSON"));
  EXPECT_THAT(refusal_of("[]"), HasSubstr("'weight_map'"));
  EXPECT_THAT(refusal_of("{}"), HasSubstr("'weight_map'"));
  EXPECT_THAT(refusal_of(R"({"weight_map":[]})"), HasSubstr("'weight_map'"));
  EXPECT_THAT(refusal_of(R"({"weight_map":{}})"), HasSubstr("an empty one"));
  EXPECT_THAT(refusal_of(R"({"weight_map":{"a":1}})"), HasSubstr("the shard's name for tensor 'a'"));
}

}  // namespace
}  // namespace anchorage::io
