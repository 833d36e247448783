// A run of many small batches on a small random model, through the program.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/process/program.hpp"
#include "tests/process/small_edit.hpp"
#include "tests/support/places.hpp"

namespace anchorage::tests {

class SmallRun {
 public:
  inline static const std::string hparams =
      small_hparams + content_of(tests::source_path() + "/tests/process/small_run.yaml");

  // Writes hparams, so many edits and the model's statistics, which the build collects, into a folder of its own.
  explicit SmallRun(int edits) {
    folder.write("h.yaml", hparams);
    write_edits("edits.jsonl", edits);
    std::filesystem::copy_file(tests::golden_path() + "/small_statistics.h5", folder.path() / "s.h5");
  }

  // Edits e0 to e<count - 1>; `target` is put after each one's own.
  void write_edits(const std::string& name, int count, const std::string& target = "") const {
    std::string lines;
    for (int i = 0; i < count; ++i) lines += edit(i, "e" + std::to_string(i), target);
    folder.write(name, lines);
  }

  static std::string edit(int i, const std::string& id, const std::string& target = "") {
    const std::string name(1, static_cast<char>('A' + i % 26));
    return nlohmann::json{{"id", id},
                          {"subject", name + "corp " + std::to_string(i)},
                          {"prompt", "The CEO of {} is"},
                          {"target", "Mr " + name + target}}
               .dump() +
           "\n";
  }

  std::string edit_arguments(const std::string& run, const std::string& more = "",
                             const std::string& edits = "edits.jsonl", int batch = 2) const {
    return small_edit(run, more, edits, batch);
  }

  // What the program prints, which must end with this code.
  nlohmann::json json(const std::string& arguments, int exit_code = 0) const {
    const Execution execution = program(arguments + " --json");
    EXPECT_EQ(execution.exit_code, exit_code) << arguments << "\n" << execution.err;
    return execution.json();
  }

  // The exported weights of RUN or RUN@N.
  std::string exported(const std::string& state) const {
    const std::string out = state + "-model-" + std::to_string(++exports_);
    const Execution execution = program("export " + state + " --out " + out);
    EXPECT_EQ(execution.exit_code, 0) << execution.err;
    return content_of(folder.path() / out / "model.safetensors");
  }

  std::filesystem::path journal(const std::string& run) const { return folder.path() / run / "journal"; }

  const TemporaryDirectory folder;
  const Program program{folder.path()};

 private:
  mutable int exports_ = 0;
};

}  // namespace anchorage::tests
