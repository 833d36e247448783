#include "sharding/protocol/command.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"

namespace anchorage::sharding {
namespace {

using testing::HasSubstr;
using Bytes = std::vector<std::byte>;

io::Edit edit_with_every_field() {
  return {.id = "länd-1",
          .subject = "Zoë \"the\" Ångström",
          .prompt = "The office of {} is in",
          .target = "東京",
          .ground_truth = "Uppsala",
          .target_prefix = "",
          .paraphrases = {"{} works in", "Where is {}?"},
          .neighborhood = {{.prompt = "The office of Celsius is in", .answer = "Uppsala"}},
          .source = "a list",
          .tags = {"office", "2026"},
          .chat_prompt = "<user>The office of {} is in\n<model>"};
}

io::Edit smallest_edit() {
  return {.id = "1", .subject = "Ada", .prompt = "{} is", .target = "here"};
}

std::vector<Command> commands() {
  const std::int64_t large = std::numeric_limits<std::int64_t>::max();
  return {
      ApplyBatch{},
      ApplyBatch{
          .edits = {edit_with_every_field(), smallest_edit()},
          .superseded = {.edits = {{.id = "old", .segment = large, .edit = 7}, {.id = "", .segment = 0, .edit = 0}},
                         .live = {"run/seg-00000001.h5", "run/with space/ü.h5"}},
          .batch = large},
      AcceptBatch{},
      RefreshLeastSquares{.live = {"a.h5", "b.h5"}},
      RevertBatch{},
      ReplaySegment{.path = "run/seg-00000001.h5"},
      ReplaySegment{.path = ""},
      SaveCheckpoint{.directory = "run/checkpoints", .segment = 12, .digest = std::string(64, 'f')},
      LoadCheckpoint{.directory = "run/checkpoints", .segment = -1, .anchors = "run/seg-00000001.h5"},
      LoadCheckpoint{},
      ContinuePrompts{},
      ContinuePrompts{.prompts = {"Zoë lives in", ""}, .max_new_tokens = large},
      ScoreTexts{.prompts = {"東京 is", "b"}, .completions = {" in Japan", ""}},
      Stop{},
  };
}

Bytes bytes_of(const nlohmann::json& fields) {
  const auto cbor = nlohmann::json::to_cbor(fields);
  const auto bytes = std::as_bytes(std::span(cbor));
  return {bytes.begin(), bytes.end()};
}

std::string objection(const Bytes& bytes) {
  return tests::message_of<io::InternalError>([&] { (void)decode(bytes); });
}

TEST(Command, EveryOneIsTheSameAfterEncodingAndDecoding) {
  const auto all = commands();
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(decode(encode(all[i])), all[i]) << "command " << i;
}

TEST(Command, TheListHasEveryAlternative) {
  std::vector<bool> seen(std::variant_size_v<Command>);
  for (const Command& command : commands()) seen[command.index()] = true;
  EXPECT_THAT(seen, testing::Each(true));
}

TEST(Command, IsNeverEmptyOnTheWayWhichMeansThatThereIsNone) {
  for (const Command& command : commands()) EXPECT_FALSE(encode(command).empty());
}

TEST(Command, CutOffAnywhereIsAnInternalError) {
  for (const Command& command : commands()) {
    const Bytes whole = encode(command);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      EXPECT_THAT(objection(part), HasSubstr("the " + std::to_string(length) + " bytes of a command"))
          << "command " << command.index();
    }
  }
}

TEST(Command, WithBytesBehindItsEndIsAnInternalError) {
  for (const Command& command : commands()) {
    Bytes bytes = encode(command);
    bytes.push_back(std::byte{0});
    EXPECT_THAT(objection(bytes), HasSubstr("bytes of a command"));
  }
}

// What a changed byte makes may be a command again (another path); what may not happen is anything but that and an
// InternalError. The sanitizers watch this one.
TEST(Command, WithAnyByteChangedIsACommandOrAnInternalError) {
  int refused = 0;
  for (const Command& command : commands()) {
    const Bytes whole = encode(command);
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (const int changed : {0x00, 0x01, 0x40, 0x5f, 0x7f, 0x80, 0x9f, 0xbf, 0xdb, 0xf6, 0xfb, 0xff}) {
        Bytes bytes = whole;
        bytes[at] ^= std::byte{static_cast<unsigned char>(changed)};
        try {
          (void)decode(bytes);
        } catch (const io::InternalError&) {
          ++refused;
        }
      }
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(Command, OfAnUnknownNameIsRefusedByIt) {
  EXPECT_THAT(objection(bytes_of({{"command", "dance"}})), HasSubstr("a command named 'dance'"));
}

TEST(Command, WithoutItsFieldsOrWithOthersIsAnInternalError) {
  for (const nlohmann::json& fields : std::vector<nlohmann::json>{
           nullptr,
           7,
           "stop",
           nlohmann::json::array({"stop"}),
           nlohmann::json::object(),
           {{"command", 7}},
           {{"command", "replay_segment"}},
           {{"command", "replay_segment"}, {"path", 7}},
           {{"command", "save_checkpoint"}, {"directory", "d"}, {"segment", "one"}, {"digest", ""}},
           {{"command", "load_checkpoint"}, {"directory", "d"}, {"segment", 1}},
           {{"command", "apply_batch"}, {"batch", 1}, {"edits", 7}, {"superseded", 7}, {"live", 7}}}) {
    EXPECT_THAT(objection(bytes_of(fields)), HasSubstr("bytes of a command")) << fields.dump();
  }
}

TEST(Command, WithAnEditThatIsNoneIsAnInternalErrorThatSaysWhy) {
  const Bytes whole = encode(ApplyBatch{.edits = {smallest_edit()}});
  const auto* data = reinterpret_cast<const std::uint8_t*>(whole.data());
  auto fields = nlohmann::json::from_cbor(data, data + whole.size());
  fields["edits"][0] = R"({"id": "1", "subject": "Ada", "prompt": "no place", "target": "here"})";
  EXPECT_THAT(objection(bytes_of(fields)), HasSubstr("a command"));
}

}  // namespace
}  // namespace anchorage::sharding
