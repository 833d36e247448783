// Runs that earlier versions made (tests/earlier_runs) open unchanged and can be resumed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/process/program.hpp"
#include "tests/support/places.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::tests {
namespace {

using testing::HasSubstr;

class EarlierRun : public testing::Test {
 protected:
  void unpack(const std::string& archive) {
    const std::string from = tests::source_path() + "/tests/earlier_runs/" + archive;
    ASSERT_EQ(std::system(("tar -xzf '" + from + "' -C '" + folder.path().string() + "'").c_str()), 0);
    std::string record = content_of(folder.path() / "run" / "run.yaml");
    const std::string placeholder = "EARLIER";
    for (std::size_t at = record.find(placeholder); at != std::string::npos; at = record.find(placeholder)) {
      record.replace(at, placeholder.size(), folder.path().string());
    }
    folder.write("run/run.yaml", record);
  }

  nlohmann::json json(const std::string& arguments) {
    const Execution execution = program(arguments + " --json");
    EXPECT_EQ(execution.exit_code, 0) << arguments << "\n" << execution.err;
    return execution.json();
  }

  std::string segment(int number) const {
    return content_of(folder.path() / "run" / "journal" / ("seg-0000000" + std::to_string(number) + ".h5"));
  }

  const TemporaryDirectory folder;
  const Program program{folder.path()};
};

TEST_F(EarlierRun, OfSegmentsWithoutUpdateKindsIsSoundAndResumes) {
  unpack("segment-1.tar.gz");
  const auto verified = json("journal verify run");
  EXPECT_TRUE(verified["sound"]) << verified.dump();
  EXPECT_EQ(verified["segments"], 6);
  const auto info = json("info run")["run"];
  EXPECT_EQ(info["edits"], (nlohmann::json{{"committed", 3}, {"set_aside", 0}, {"removed", 1}}));

  const std::string before = segment(4);
  const auto resumed = json("edit --run run --resume --edits '" + (folder.path() / "edits.jsonl").string() + "'");
  EXPECT_EQ(resumed["edits"]["committed"], 4) << "e4 to e7: the rollback took e4 and e5 out, e1 was removed";
  EXPECT_EQ(segment(4), before) << "segments are never written again";
  EXPECT_NE(segment(1).find("anchorage-segment/1"), std::string::npos);
  EXPECT_NE(segment(6).find("anchorage-segment/2"), std::string::npos);
  EXPECT_TRUE(json("journal verify run")["sound"]);
  EXPECT_EQ(json("info run")["run"]["edits"]["committed"], 7);
}

}  // namespace
}  // namespace anchorage::tests
