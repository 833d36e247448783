// A folder with hyper-parameters, edits and statistics for a small random model, and the program to run in it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/process/program.hpp"
#include "tests/process/small_edit.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/places.hpp"

namespace anchorage::tests {

inline const std::string hparams = small_hparams + "eac_locate_steps: 5\neac_compress_steps: 7\nguard: false\n";

inline constexpr auto edits =
    R"({"id": "a", "subject": "Boeing", "prompt": "The CEO of {} is", "target": "Kelly Ortberg", "ground_truth": "Dave Calhoun", "paraphrases": ["Boeing is led by"], "neighborhood": [{"prompt": "The CEO of Nvidia is", "answer": "Jensen Huang"}]}
{"id": "b", "subject": "Nike", "prompt": "The CEO of {} is", "target": "Elliott Hill", "ground_truth": "John Donahoe"}
{"id": "c", "subject": "Intel", "prompt": "The CEO of {} is", "target": "Lip-Bu Tan"}
{"id": "d", "subject": "Starbucks", "prompt": "The CEO of {} is", "target": "Brian Niccol"}
{"id": "e", "subject": "Unilever", "prompt": "The CEO of {} is", "target": "Fernando Fernandez"}
)";

inline std::string known_facts() {
  std::string facts;
  for (int i = 0; i < 40; ++i) {
    facts += nlohmann::json{{"prompt", "Fact " + std::string(static_cast<std::size_t>(i % 7) + 1, 'x') + " is"},
                            {"attribute", std::string(1, static_cast<char>('a' + i % 26))}}
                 .dump() +
             "\n";
  }
  return facts;
}

class ProgramTest : public testing::Test {
 protected:
  ProgramTest() {
    folder.write("h.yaml", hparams);
    folder.write("edits.jsonl", edits);
    std::filesystem::copy_file(tests::golden_path() + "/small_statistics.h5", folder.path() / "s.h5");
  }

  Execution collect(int ranks, const std::string& out, const std::string& more = "") {
    return program("stats '" + model + "' --corpus '" + corpus +
                       "' --layers 1,2 --tokens 1500 --sequence-length 64 --threads 1 "
                       "--json --out " +
                       out + " " + more,
                   ranks);
  }

  std::string edit_arguments(const std::string& run, const std::string& more = "", int batch = 2) const {
    return small_edit(run, more, "edits.jsonl", batch);
  }

  std::string exported(const std::string& run) {
    const Execution execution = program("export " + run + " --out " + run + "-model");
    EXPECT_EQ(execution.exit_code, 0) << execution.err;
    return content_of(folder.path() / (run + "-model") / "model.safetensors");
  }

  const TemporaryDirectory folder;
  const Program program{folder.path()};
};

}  // namespace anchorage::tests
