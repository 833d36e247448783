#include "io/trace/chrome_trace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

json written(const Trace& trace) {
  const tests::TemporaryDirectory directory;
  const auto path = directory.path() / "trace.json";
  write_trace(path, trace);
  return json::parse(tests::content_of(path));
}

// The boxes as viewers find them, in the file's order.
std::vector<json> boxes_of(const json& file) {
  std::vector<json> boxes;
  for (const auto& event : file["traceEvents"]) {
    if (event["ph"] == "X") boxes.push_back(event);
  }
  return boxes;
}

TEST(ChromeTrace, HasARowForEachRankNamedAndInOrder) {
  Trace trace{.title = "edit", .rows = {}};
  for (int rank = 0; rank < 12; ++rank) {
    trace.rows.push_back(
        {.name = "rank " + std::to_string(rank),
         .boxes = {{.activity = "values", .start = 0.5, .duration = 0.25, .category = "activity"}}});
  }
  const json file = written(trace);
  std::map<int, std::string> names;
  std::map<int, int> order;
  std::set<int> processes, threads;
  for (const auto& event : file["traceEvents"]) {
    processes.insert(event["pid"].get<int>());
    if (event["ph"] == "X") threads.insert(event["tid"].get<int>());
    if (event["name"] == "process_name") {
      EXPECT_EQ(event["args"]["name"], "edit");
    }
    if (event["name"] == "thread_name") names[event["tid"]] = event["args"]["name"];
    if (event["name"] == "thread_sort_index") order[event["tid"]] = event["args"]["sort_index"];
  }
  EXPECT_EQ(processes.size(), 1U);
  EXPECT_EQ(threads.size(), 12U);
  ASSERT_EQ(names.size(), 12U);
  for (const auto& [thread, name] : names) EXPECT_EQ(name, "rank " + std::to_string(order.at(thread)));
}

TEST(ChromeTrace, CountsInMicroseconds) {
  const auto boxes =
      boxes_of(written({.title = "edit",
                        .rows = {{.name = "rank 0",
                                  .boxes = {{.activity = "a", .start = 1.5, .duration = 2e-9, .category = "wait"},
                                            {.activity = "b", .start = -0.0005, .duration = 1}}}}}));
  ASSERT_EQ(boxes.size(), 2U);
  EXPECT_EQ(boxes[0]["name"], "b");
  EXPECT_EQ(boxes[0]["ts"], -500.0);
  EXPECT_EQ(boxes[0]["dur"], 1e6);
  EXPECT_EQ(boxes[1]["ts"], 1.5e6);
  EXPECT_EQ(boxes[1]["dur"], 0.002);
  EXPECT_EQ(boxes[1]["cat"], "wait");
}

// Ends that are equal by design and differ in their last bits.
TEST(ChromeTrace, BoxesThatTouchDoNotOverlapThoughTheirSumsAreRounded) {
  TraceRow row{.name = "rank 0", .boxes = {}};
  double start = 1000;
  for (int i = 1; i <= 1000; ++i) {
    const double inner = 1 / 21.0, outer = inner + i / 7e3;
    row.boxes.push_back({.activity = "first", .start = start, .duration = inner});
    row.boxes.push_back({.activity = "second", .start = start + inner, .duration = outer - inner});
    row.boxes.push_back({.activity = "outer", .start = start, .duration = outer});
    start += outer;
  }
  const auto boxes = boxes_of(written({.title = "", .rows = {row}}));
  ASSERT_EQ(boxes.size(), 3000U);
  const auto begin = [](const json& box) { return std::llround(1e3 * box["ts"].get<double>()); };  // ns
  const auto end = [&](const json& box) { return begin(box) + std::llround(1e3 * box["dur"].get<double>()); };
  std::int64_t last = 0;
  for (std::size_t i = 0; i < boxes.size(); i += 3) {
    const json &outer = boxes[i], &first = boxes[i + 1], &second = boxes[i + 2];
    ASSERT_GE(begin(outer), last);
    ASSERT_GE(begin(first), begin(outer));
    ASSERT_GE(begin(second), end(first));
    ASSERT_LE(end(second), end(outer));
    last = end(outer);
  }
}

TEST(ChromeTrace, BoxesThatOverlapAreAnErrorThatNamesThem) {
  const TraceRow row{.name = "rank 3",
                     .boxes = {{.activity = "values", .start = 0, .duration = 2},
                               {.activity = "solve", .start = 1, .duration = 2}}};
  const auto write = [&] { written({.title = "", .rows = {row}}); };
  EXPECT_THROW(write(), InternalError);
  const std::string message = tests::message_of<InternalError>(write);
  for (const char* named : {"values", "solve", "rank 3"}) EXPECT_THAT(message, HasSubstr(named));
}

TEST(ChromeTrace, NamesMayHaveAnyCharacters) {
  const std::string name = "a \"quoted\" \\ name\n\x01 ü";
  const auto file = written(
      {.title = name, .rows = {{.name = name, .boxes = {{.activity = name}, {.activity = "not UTF-8 \xff"}}}}});
  EXPECT_EQ(file["traceEvents"][0]["args"]["name"], name);
  EXPECT_EQ(boxes_of(file)[0]["name"], name);
  EXPECT_THAT(boxes_of(file)[1]["name"].get<std::string>(), HasSubstr("not UTF-8"));
}

TEST(ChromeTrace, WithoutBoxesIsAFileAllTheSame) {
  EXPECT_TRUE(boxes_of(written({.title = "edit", .rows = {{.name = "rank 0", .boxes = {}}}})).empty());
  EXPECT_EQ(written({.title = "edit", .rows = {}})["traceEvents"].size(), 1U);
}

TEST(ChromeTrace, APlaceThatCannotBeWrittenIsRefusedAndLeavesNothing) {
  const tests::TemporaryDirectory directory;
  EXPECT_THROW(require_trace_path(directory.path(), "--trace"), UserError);
  EXPECT_THROW(require_trace_path("", "--trace"), UserError);
  const auto missing = directory.path() / "no" / "trace.json";
  const auto refuse = [&] { require_trace_path(missing, "--trace"); };
  EXPECT_THAT(tests::message_of<UserError>(refuse), HasSubstr("--trace " + missing.string()));
  require_trace_path(directory.path() / "trace.json", "--trace");
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

}  // namespace
}  // namespace anchorage::io
