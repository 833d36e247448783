// What ranks report of their time, through the program: shares by activity, and a trace.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "tests/process/program_test.hpp"
#include "tests/support/places.hpp"

namespace anchorage {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using tests::Execution;
using tests::ProgramTest;

double sum_of(const json& seconds_by_name) {
  double sum = 0;
  for (const auto& [name, seconds] : seconds_by_name.items()) {
    EXPECT_GE(seconds, 0) << name;
    sum += seconds.get<double>();
  }
  return sum;
}

// The boxes of each row, by the row's name, in the file's order.
std::map<std::string, std::vector<json>> rows_of(const json& trace) {
  std::map<int, std::string> names;
  std::map<std::string, std::vector<json>> rows;
  for (const auto& event : trace["traceEvents"]) {
    if (event["name"] == "thread_name") names[event["tid"]] = event["args"]["name"];
    if (event["ph"] == "X") rows[names.at(event["tid"])].push_back(event);
  }
  EXPECT_EQ(rows.size(), names.size());
  return rows;
}

void expect_nested(const std::vector<json>& boxes) {
  std::vector<double> ends;
  for (const json& box : boxes) {
    const double begin = box["ts"], end = begin + box["dur"].get<double>();
    while (!ends.empty() && ends.back() <= begin + 1e-3) ends.pop_back();
    if (!ends.empty()) {
      EXPECT_LE(end, ends.back() + 1e-3) << box;
    }
    ends.push_back(end);
  }
}

TEST_F(ProgramTest, TellsWhatEachRankOfTwoStagesDidAndWaitedFor) {
  const Execution execution = program(edit_arguments("run", "--stages 2 --trace trace.json"), 2);
  ASSERT_EQ(execution.exit_code, 0) << execution.err;
  const json ranks = execution.json()["rank_seconds"];
  const auto rows = rows_of(json::parse(tests::content_of(folder.path() / "trace.json")));
  ASSERT_EQ(ranks.size(), 2U);
  ASSERT_EQ(rows.size(), 2U);
  for (int i = 0; i < 2; ++i) {
    const json& rank = ranks[static_cast<std::size_t>(i)];
    SCOPED_TRACE(rank.dump());
    EXPECT_EQ(rank["rank"], i);
    EXPECT_EQ(rank["stage"], i);
    EXPECT_EQ(rank["replica"], 0);
    EXPECT_GT(rank["busy"], 0);
    EXPECT_LE(rank["busy"], 1);
    const double total = rank["seconds"], busy = sum_of(rank["activities"]), waits = sum_of(rank["waits"]);
    EXPECT_NEAR(busy + waits + rank["idle"].get<double>(), total, 0.01 * total);
    EXPECT_NEAR(rank["busy"], busy / total, 0.01);
    for (const char* activity : {"values", "pass", "setup", "forward", "backward", "keys", "products", "factor",
                                 "accept", "anchors", "contexts", "score", "apply batch"}) {
      EXPECT_TRUE(rank["activities"].contains(activity)) << activity;
    }
    // Each evaluation goes forward, and all but the last of a search backward too.
    const double forward = rank["flops"]["forward"], backward = rank["flops"]["backward"];
    EXPECT_GT(backward, 0);
    EXPECT_GT(forward, backward);
    EXPECT_EQ(rank["flops"].size(), 2U);
    for (const char* way : {"forward", "backward"}) {
      EXPECT_GT(rank["product_seconds"][way], 0) << way;
      EXPECT_LT(rank["product_seconds"][way], rank["activities"][way]) << way;
    }
    EXPECT_GT(waits, 0);
    EXPECT_FALSE(rank["waits"].contains("receive command")) << "that is idle time";

    const std::string name = "rank " + std::to_string(i) + " (stage " + std::to_string(i) + ", replica 0)";
    EXPECT_THAT(execution.err, HasSubstr(name + ": busy "));
    ASSERT_TRUE(rows.contains(name));
    expect_nested(rows.at(name));
    std::map<std::string, int> count;
    for (const json& box : rows.at(name)) {
      ++count[box["name"]];
      EXPECT_EQ(box["cat"], rank["activities"].contains(box["name"].get<std::string>()) ? "activity" : "wait")
          << box;
      EXPECT_LE(box["ts"].get<double>() + box["dur"].get<double>(), 1e6 * total + 1e-3);
    }
    EXPECT_EQ(count["apply batch"], 3);
    for (const auto& [activity, seconds] : rank["activities"].items()) EXPECT_GT(count[activity], 0) << activity;
    for (const auto& [operation, seconds] : rank["waits"].items()) EXPECT_GT(count[operation], 0) << operation;
  }
}

TEST_F(ProgramTest, AProfilerSeesActivitiesAndWaitsAsRangesOfNvtx) {
  const Execution execution =
      program.shell("NVTX_INJECTION64_PATH='" + tests::build_path() + "/tests/librange_listener.so" +
                    "' RANGES_FILE=ranges.txt '" + tests::program_path() + "' " + edit_arguments("run", ""));
  ASSERT_EQ(execution.exit_code, 0) << execution.err;
  std::istringstream ranges(tests::content_of(folder.path() / "ranges.txt"));
  std::map<std::string, int> count;
  std::set<std::string> outermost;
  int depth = 0, deepest = 0;
  for (std::string name; ranges >> depth && std::getline(ranges >> std::ws, name);) {
    ++count[name];
    deepest = std::max(deepest, depth);
    if (depth == 0) outermost.insert(name);
  }
  EXPECT_EQ(outermost, (std::set<std::string>{"accept batch", "apply batch", "stop"}));
  EXPECT_GE(deepest, 2);
  EXPECT_EQ(count["apply batch"], 3);
  for (const auto& [activity, seconds] : execution.json()["rank_seconds"][0]["activities"].items())
    EXPECT_GT(count[activity], 0) << activity;
}

TEST_F(ProgramTest, ATraceThatCannotBeWrittenIsRefusedBeforeAnythingIsChanged) {
  const Execution execution = program(edit_arguments("run", "--trace nowhere/trace.json"));
  EXPECT_EQ(execution.exit_code, 2);
  EXPECT_THAT(execution.err, HasSubstr("--trace nowhere/trace.json"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "run"));
}

TEST_F(ProgramTest, ARunThatASignalStopsHasItsTraceToo) {
  // So many steps that the signal comes in time, as soon as the first batch is committed.
  const Execution execution =
      program.shell("'" + tests::program_path() + "' " +
                    edit_arguments("run",
                                   "--trace trace.json --set eac_locate_steps=250 "
                                   "--set eac_compress_steps=250 --set early_stop_loss=0",
                                   1) +
                    " & for i in $(seq 3000); do test -e run/journal/seg-00000001.h5 && break; sleep 0.02; done; "
                    "kill -TERM $!; wait $!");
  ASSERT_EQ(execution.exit_code, 75) << execution.err;
  const auto rows = rows_of(json::parse(tests::content_of(folder.path() / "trace.json")));
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows.begin()->second.front()["name"], "apply batch");
}

}  // namespace
}  // namespace anchorage
