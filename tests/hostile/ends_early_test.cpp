// Files that are cut off, or that continue after their end. Each is read whole or gives an error with its
// place; no part of one may be lost silently.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "io/edits/reader.hpp"
#include "io/hparams/hparams.hpp"
#include "io/model/weight_files.hpp"
#include "io/text/json_lines.hpp"
#include "io/text/strict_json.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/raw_safetensors.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using std::string_literals::operator""s;
using testing::AllOf;
using testing::HasSubstr;
using tests::message_of;

const std::string fact = R"({"subject": "s", "prompt": "{} is", "target": "x"})";
const std::string zero(1, '\0');

std::string json_refusal(const std::string& text) {
  return message_of([&] { parse_strict_json(text, "f.json"); });
}

TEST(EndsEarly, JsonWithAZeroByteAnywhereIsRefusedWithItsLine) {
  const std::string text = "{\"a\":\n [1, {\"b\": \"c\"}]}";
  for (std::size_t place = 0; place <= text.size(); ++place) {
    std::string torn = text;
    torn.insert(place, 1, '\0');
    const std::string line = place < 6 ? "line 1" : "line 2";
    EXPECT_THAT(json_refusal(torn), AllOf(HasSubstr("a zero byte at " + line), HasSubstr("f.json"))) << place;
  }
}

TEST(EndsEarly, JsonCutAnywhereOrWithMoreBehindItIsRefused) {
  const std::string text = R"({"a": [1, {"b": "c\u00e9"}], "d": -1.5e3})";
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_THAT(json_refusal(text.substr(0, size)), HasSubstr("expected JSON")) << size;
  }
  for (const std::string more : {"{}", "\n{}", ",", "]", "x", "\x1a", "\r\r1"}) {
    EXPECT_THAT(json_refusal(text + more), HasSubstr("expected JSON")) << more;
  }
  EXPECT_EQ(json_refusal(text + " \r\n\t"), "no error");
}

// Our reading must give the same value as the library's own parser.
TEST(EndsEarly, JsonIsReadAsTheLibraryReadsIt) {
  for (const std::string text :
       {R"({"a": [], "b": {}, "c": [[1], {"d": [null, true]}, -7, 18446744073709551615, 1e-3], "e": "\u0000"})",
        "[]", "7", "\"x\"", "\xEF\xBB\xBF{\"a\": 1}"}) {
    EXPECT_EQ(parse_strict_json(text, "f.json"), nlohmann::json::parse(text)) << text;
  }
}

std::vector<std::string> places_rejected(std::string_view content) {
  std::vector<std::string> places;
  for (const Rejected& one : read_edits(tests::TemporaryDirectory().write("f", content)).rejected)
    places.push_back(one.where.substr(one.where.rfind("line")));
  return places;
}

TEST(EndsEarly, OnlyTheLineWithAZeroByteIsLost) {
  using testing::ElementsAre;
  EXPECT_THAT(places_rejected(fact + "\n" + fact + zero + "\n" + fact), ElementsAre("line 2"));
  EXPECT_THAT(places_rejected(fact + "\n" + zero + fact + "\n" + fact), ElementsAre("line 2"));
  EXPECT_THAT(places_rejected(fact + "\n" + std::string(4096, '\0')), ElementsAre("line 2"));
  EXPECT_THAT(places_rejected(fact + "\n\n" + fact.substr(0, 20)), ElementsAre("line 3"));
  EXPECT_THAT(places_rejected(fact + "\n" + fact + fact + "\n"), ElementsAre("line 2"));
  EXPECT_THAT(places_rejected(fact + "\n" + fact + "\r" + fact + "\r\n"), ElementsAre("line 2"));
}

TEST(EndsEarly, AFileOfRecordsThatIsOneDocumentIsReadWholeOrNotAtAll) {
  const auto refusal = [](const std::string& content) {
    return message_of([&] { read_edits(tests::TemporaryDirectory().write("f.json", content)); });
  };
  EXPECT_EQ(refusal("[" + fact + "]"), "no error");
  EXPECT_THAT(refusal("[" + fact + "]" + zero), HasSubstr("zero byte at line 1"));
  EXPECT_THAT(refusal("[" + fact + ",\n" + zero + fact + "]"), HasSubstr("zero byte at line 2"));
  EXPECT_THAT(refusal("[" + fact + ",\n" + fact), HasSubstr("line 2"));
  EXPECT_THAT(refusal("[" + fact + "]\n[" + fact + "]"), HasSubstr("line 2"));
  EXPECT_THAT(refusal(fact + "\r" + fact), HasSubstr("line 1"));  // carriage returns alone end no line
  std::string wide;
  for (const char c : fact) wide += c + zero;
  EXPECT_THAT(refusal(wide), HasSubstr("no text in UTF-8"));
  EXPECT_THAT(refusal("\xFF\xFE" + wide), HasSubstr("text in UTF-8"));
}

TEST(EndsEarly, LinesOfAStreamAreReadToTheirEnd) {
  std::istringstream stream("1\r\n \r\n2\n3" + zero + "\n");
  JsonLines lines(stream, {.expected = "a number a line", .found = {}, .where = "stdin", .remedy = {}});
  EXPECT_EQ(lines.next()->value, 1);
  EXPECT_EQ(lines.next()->where, "stdin, line 3");
  EXPECT_THAT(message_of([&] { lines.next(); }),
              AllOf(HasSubstr("expected a number a line, found a zero byte"), HasSubstr("stdin, line 4")));
  EXPECT_FALSE(lines.next());
}

TEST(EndsEarly, HyperParametersAreOneWholeDocument) {
  const auto refusal = [](const std::string& text) { return message_of([&] { parse_hparams(text, "h.yaml"); }); };
  EXPECT_THAT(refusal("layers: [1]\n---\nv_lr: 0.1\n"),
              AllOf(HasSubstr("a second document"), HasSubstr("h.yaml, line 3")));
  EXPECT_THAT(refusal("{\"layers\": [1]}\n{\"v_lr\": 0.1}\n"), HasSubstr("h.yaml, line 2"));
  EXPECT_THAT(refusal("layers: [1]\n...\nv_lr: 0.1\n"), HasSubstr("h.yaml, line 3"));
  for (const char c : {'\0', '\x04', '\x1a'}) {
    EXPECT_THAT(refusal("layers: [1]\n"s + c + "\nv_lr: 0.1\n"),
                AllOf(HasSubstr("control character"), HasSubstr("h.yaml, line 2")));
  }
  EXPECT_EQ(refusal("---\nlayers: [1]\n...\n---\n"), "no error");
  Hparams hparams;
  EXPECT_THAT(message_of([&] { set(hparams, "v_lr=0.1\n---\n0.2"); }), HasSubstr("a second document"));
}

TEST(EndsEarly, AModelsFilesAreReadToTheirEnd) {
  const tests::TemporaryDirectory directory;
  directory.write("tokenizer.json", "{}" + zero);
  EXPECT_THAT(message_of([&] { Tokenizer::load(directory.path()); }), HasSubstr("zero byte"));
  directory.write("model.safetensors", tests::raw_safetensors("{}" + zero + "{}   ", ""));
  EXPECT_THAT(message_of([&] { WeightFiles::open(directory.path()); }), HasSubstr("zero byte"));
}

}  // namespace
}  // namespace anchorage::io
