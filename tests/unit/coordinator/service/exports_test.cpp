// Exports of a run that is served, with a program that stands for `anchorage export`.
#include "coordinator/service/exports.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>

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
  EXPECT_EQ(second->begin({.name = "a", .format = "peft"}, 9)["batch"], 7) << "the request said again";
  EXPECT_THAT(refusal_of([&] { second->begin({.name = "a", .format = "hf"}, 9); }),
              HasSubstr("'a', of peft after batch 7"));
}

TEST_F(ExportsTest, OneThatFailsSaysWhyAndMayBeginAnew) {
  const auto all = exports(R"(echo "a line" >&2; echo "error: expected a disk, found none" >&2; exit 1)");
  all->begin({.name = "a", .format = {}}, 1);
  wait();
  EXPECT_EQ((*all->find("a"))["reason"], "expected a disk, found none");
  all->begin({.name = "a", .format = "hf"}, 2);
  wait();
  EXPECT_EQ(all->failed(), 2);
  EXPECT_THAT(states_, ElementsAre("writing", "failed", "writing", "failed"));
}

TEST_F(ExportsTest, OneIsWrittenAtATimeAndEndsWithTheService) {
  const auto begin = std::chrono::steady_clock::now();
  {
    const auto all = exports("exec sleep 600");
    all->begin({.name = "a", .format = {}}, 1);
    EXPECT_THAT(refusal_of([&] { all->begin({.name = "b", .format = {}}, 1); }), HasSubstr("one export at a time"));
  }
  context_.restart();
  context_.run();  // what the end of its process has posted comes too late
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
