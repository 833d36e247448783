// Exports of a run that is served, with a program that stands for `anchorage export`.
#include "coordinator/service/exports.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <thread>

#include "coordinator/service/problem.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::coordinator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Writes what `anchorage export` leaves.
constexpr auto writing = R"(mkdir -p "$0" && echo '{"format": "peft", "batch": 7}' > "$0/anchorage_export.json")";

template <class Action>
std::string refusal_of(const Action& action) {
  try {
    action();
  } catch (const RequestError& error) {
    return error.what();
  }
  return "";
}

class ExportsTest : public testing::Test {
 protected:
  std::unique_ptr<Exports> exports(const std::string& script = writing) {
    return std::make_unique<Exports>(
        folder_.path() / "exports",
        ExportOptions{.command =
                          [script](const ExportRequest&, const std::filesystem::path& out) {
                            return std::vector<std::string>{"/bin/sh", "-c", script, out.string()};
                          },
                      .on_network = [this](std::function<void()> action) { boost::asio::post(context_, action); },
                      .changed = [this](const auto& document) { states_.push_back(document["state"]); }});
  }
  // Runs the network's thread until an export has ended.
  void wait() {
    context_.restart();
    const auto work = boost::asio::make_work_guard(context_);
    while (states_.empty() || states_.back() == "writing") context_.run_one_for(std::chrono::seconds(60));
  }
  tests::TemporaryDirectory folder_;
  boost::asio::io_context context_;
  std::vector<std::string> states_;
};

TEST_F(ExportsTest, AreKnownAgainAndWhatWasNotFinishedIsRemoved) {
  {
    const auto first = exports();
    EXPECT_EQ(first->begin({.name = "a", .format = {}}, 7)["batch"], 7);
    wait();
    EXPECT_EQ(first->written(), 1);
  }
  folder_.write("exports/b.partial/model", "half");
  folder_.write("exports/notes/text", "of somebody else");
  folder_.write("exports/c/anchorage_export.json", "{}");
  const auto second = exports();
  EXPECT_EQ(second->list()["exports"].size(), 1U);
  EXPECT_EQ((*second->find("a"))["state"], "written");
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "exports/b.partial"));
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "exports/notes/text"));
  EXPECT_EQ(second->begin({.name = "a", .format = "peft"}, 7)["state"], "written") << "the request said again";
  for (const ExportRequest& other :
       {ExportRequest{.name = "a", .format = "hf"}, ExportRequest{.name = "a", .format = {}, .segment = 9},
        ExportRequest{.name = "a", .format = {}, .rank = 3},
        ExportRequest{.name = "a", .format = {}, .verify = true}})
    EXPECT_THAT(refusal_of([&] { second->begin(other, 7); }), HasSubstr("'a', of peft after batch 7"));
}

TEST_F(ExportsTest, OneThatFailsSaysWhyLeavesNothingAndMayBeginAnew) {
  const auto all = exports(
      R"(mkdir -p "$0.partial/model"; echo "a line" >&2; echo "error: expected a disk, found error: none" >&2; exit 1)");
  all->begin({.name = "a", .format = {}}, 1);
  wait();
  EXPECT_EQ((*all->find("a"))["reason"], "expected a disk, found error: none");
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "exports/a.partial"));
  all->begin({.name = "a", .format = "hf"}, 2);
  wait();
  EXPECT_EQ(all->failed(), 2);
  EXPECT_THAT(states_, ElementsAre("writing", "failed", "writing", "failed"));
}

TEST_F(ExportsTest, OneThatIsWholeIsWrittenHoweverItsProcessHasEnded) {
  const auto all = exports(std::string(writing) + "; kill -KILL $$");
  all->begin({.name = "a", .format = {}}, 7);
  wait();
  EXPECT_EQ((*all->find("a"))["state"], "written");
}

TEST_F(ExportsTest, OneKilledByASignalSaysSo) {
  const auto all = exports("kill -TERM $$");
  all->begin({.name = "a", .format = {}}, 7);
  wait();
  EXPECT_EQ((*all->find("a"))["reason"], "the export ended with exit code 143");
}

TEST_F(ExportsTest, OneIsWrittenAtATimeAndNothingIsLeftOfItWhereTheServiceEnds) {
  const auto partial = folder_.path() / "exports/a.partial";
  const auto begin = std::chrono::steady_clock::now();
  {
    const auto all = exports(R"(mkdir -p "$0.partial/model"; sleep 600)");
    all->begin({.name = "a", .format = {}, .rank = 4}, 1);
    EXPECT_EQ(all->begin({.name = "a", .format = "peft", .rank = 4}, 1)["state"], "writing") << "said again";
    EXPECT_EQ(all->begin({.name = "a", .format = "peft"}, 1)["state"], "writing") << "with any rank";
    for (const ExportRequest& other :
         {ExportRequest{.name = "a", .format = {}, .rank = 8}, ExportRequest{.name = "a", .format = "hf"},
          ExportRequest{.name = "a", .format = {}, .canaries = true}})
      EXPECT_THAT(refusal_of([&] { all->begin(other, 1); }), HasSubstr("'a', of peft after batch 1"));
    EXPECT_THAT(refusal_of([&] { all->begin({.name = "a", .format = {}}, 2); }), HasSubstr("after batch 1"));
    EXPECT_THAT(refusal_of([&] { all->begin({.name = "b", .format = {}}, 1); }), HasSubstr("one export at a time"));
    while (!std::filesystem::exists(partial)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_FALSE(std::filesystem::exists(partial));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

TEST(ExportRequests, AreReadAndRefused) {
  const auto request = export_in({{"name", "a.b-c_1"}, {"batch", 3}, {"rank", 8}, {"verify", true}});
  EXPECT_EQ(request.segment, 3);
  EXPECT_EQ(request.rank, 8);
  EXPECT_TRUE(request.verify && !request.canaries);
  for (const nlohmann::json& body :
       {nlohmann::json(), nlohmann::json({{"name", ""}}), nlohmann::json({{"name", ".."}}),
        nlohmann::json({{"name", "a/b"}}), nlohmann::json({{"name", "a.partial"}}),
        nlohmann::json({{"name", std::string(65, 'a')}}), nlohmann::json({{"name", "a"}, {"format", "zip"}}),
        nlohmann::json({{"name", "a"}, {"format", "hf"}, {"rank", 8}}),
        nlohmann::json({{"name", "a"}, {"batch", 0}}), nlohmann::json({{"name", "a"}, {"verify", 1}})})
    EXPECT_NE(refusal_of([&] { export_in(body); }), "") << body;
}

}  // namespace
}  // namespace anchorage::coordinator
