// What tests of the program edit: a small random model, with hyper-parameters that suit it.
#pragma once

#include <string>

#include "tests/support/places.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::tests {

inline const std::string model = tests::golden_path() + "/small_models/llama_tied";

// To which a test adds how many steps are taken and what the guard lets pass.
inline const std::string small_hparams =
    content_of(tests::source_path() + "/tests/small_hparams.yaml") + "v_lr: 0.2\ngroup: 2\n";

// Arguments of the program in a folder with h.yaml and s.h5.
inline std::string small_edit(const std::string& run, const std::string& more, const std::string& edits,
                              int batch) {
  return "edit '" + model + "' --edits " + edits + " --run " + run +
         " --hparams h.yaml --stats s.h5 --threads 1 --json --batch " + std::to_string(batch) + " " + more;
}

}  // namespace anchorage::tests
