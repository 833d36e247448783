// Every family of the table through the program: statistics, edits by all methods over two stages, export, and the
// export loaded by transformers.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "io/model/family.hpp"
#include "io/model/model_config.hpp"
#include "tests/process/small_run.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/places.hpp"

namespace anchorage {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;
using tests::corpus;
using tests::Execution;

const std::filesystem::path models = std::filesystem::path(tests::golden_path()) / "small_models";

std::vector<std::string> names_of_models() {
  std::ifstream file(models / "names.json");
  return nlohmann::json::parse(file).get<std::vector<std::string>>();
}

// Of each family the last small model, which has most of its corners.
std::map<std::string, std::string> model_of_each_family() {
  std::map<std::string, std::string> found;
  for (const std::string& name : names_of_models()) {
    const io::ModelConfig config = io::read_model_config(models / name / "config.json");
    found[std::string(config.traits().model_type)] = name;
  }
  return found;
}

TEST(Families, EachHasASmallModel) {
  const auto found = model_of_each_family();
  for (const io::FamilyTraits& traits : io::families())
    EXPECT_TRUE(found.contains(std::string(traits.model_type))) << traits.model_type;
}

class FamiliesByProgram : public testing::Test {
 protected:
  FamiliesByProgram() {
    folder.write("h.yaml", tests::SmallRun::hparams + "guard: false\nnullspace_threshold: 1e9\n");
    folder.write("edits.jsonl", tests::SmallRun::edit(0, "a") + tests::SmallRun::edit(1, "b"));
  }

  // Runs the program, which must succeed.
  nlohmann::json json(const std::string& arguments, int ranks = 0) const {
    const Execution execution = program(arguments + " --threads 1 --json", ranks);
    EXPECT_EQ(execution.exit_code, 0) << arguments << "\n" << execution.err;
    return execution.exit_code == 0 ? execution.json() : nlohmann::json();
  }

  const tests::TemporaryDirectory folder;
  const tests::Program program{folder.path()};
};

TEST_F(FamiliesByProgram, AllMethodsEditOverTwoStagesAndTransformersSeesOnlyTheEditedTensorsChanged) {
  const std::vector<std::string> methods = {"memit", "memit_seq", "alphaedit", "eac", "b-eac"};
  std::string pairs;
  std::vector<std::pair<std::string, std::vector<std::string>>> expected;  // run and its edited tensors
  for (const auto& [family, name] : model_of_each_family()) {
    SCOPED_TRACE(family + ": " + name);
    const std::string model = (models / name).string();
    json("stats '" + model + "' --corpus '" + corpus +
         "' --layers 1,2 --tokens 900 --sequence-length 64 --quiet --out " + family + ".h5");
    std::vector<std::string> edited;
    for (const int layer : {1, 2}) {
      edited.push_back(fmt::format(fmt::runtime(io::edited_module(*io::family_named(family)) + ".weight"), layer));
    }
    for (const std::string& method : methods) {
      const std::string run = family + "-" + method;
      const auto result =
          json("edit '" + model + "' --edits edits.jsonl --run " + run + " --hparams h.yaml --stats " + family +
                   ".h5 --stages 2 --dtype fp32 --batch 2 --method " + method,
               2);
      ASSERT_FALSE(result.is_null());
      EXPECT_EQ(result["edits"]["committed"], 2) << method;
      ASSERT_EQ(program("export " + run + " --out " + run + "-model").exit_code, 0);
      pairs += " '" + model + "' " + run + "-model";
      expected.emplace_back(run, edited);
    }
  }
  const Execution seen = program.shell("'" + tests::python_path() + "' -B '" + tests::source_path() +
                                       "/tests/golden/changed_tensors.py'" + pairs);
  ASSERT_EQ(seen.exit_code, 0) << seen.err;
  const auto changed = seen.json();
  ASSERT_EQ(changed.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_THAT(changed[i].get<std::vector<std::string>>(), ElementsAreArray(expected[i].second))
        << expected[i].first;
}

// Every file under shared/data: it plans, or is refused by name.
TEST_F(FamiliesByProgram, RealConfigurationsPlanOrAreRefusedByName) {
  const std::filesystem::path real = tests::source_path() + "/../shared/data/configs";
  if (!std::filesystem::is_directory(real)) GTEST_SKIP() << "no " << real;
  folder.write("plan.yaml", "layers: [4, 5, 6, 7, 8]\n");
  int planned = 0, refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(real)) {
    const auto path = entry.path() / "config.json";
    std::ifstream file(path);
    const auto content = nlohmann::json::parse(file);
    if (io::family_named(content.value("model_type", "")) == nullptr) continue;
    const Execution plan = program("plan '" + path.string() + "' --hparams plan.yaml --dtype bf16 --ranks 1 " +
                                   "--memory 1000 --json");
    if (content.contains("quantization_config")) {
      EXPECT_EQ(plan.exit_code, 2) << path;
      EXPECT_THAT(plan.err, HasSubstr("found the method 'fp8'")) << path;
      ++refused;
    } else {
      EXPECT_EQ(plan.exit_code, 0) << path << plan.err;
      EXPECT_EQ(plan.err.find("not known here"), std::string::npos) << plan.err;
      ++planned;
    }
  }
  EXPECT_GE(planned, 34);
  EXPECT_GE(refused, 1);
}

}  // namespace
}  // namespace anchorage
