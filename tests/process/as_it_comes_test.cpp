// What people bring, as it is: situations that users of neighbouring tools report, each with its right outcome. No file
// passes silently wrong, and no real model or record is set aside for a reason that is ours.
#include <gmock/gmock.h>

#include "tests/process/program_test.hpp"

namespace anchorage {
namespace {

using testing::HasSubstr;
using testing::Not;
using tests::Execution;
using tests::model;

class AsItComes : public tests::ProgramTest {
 protected:
  // Exit code 2, and what was expected, found, where and what to do.
  void expect_refused(const std::string& arguments, std::initializer_list<const char*> words, int ranks = 0) {
    const Execution execution = program(arguments, ranks);
    EXPECT_EQ(execution.exit_code, 2) << execution.err;
    for (const char* word : words) EXPECT_THAT(execution.err, HasSubstr(word));
  }
};

// ---- Stops or loses work ------------------------------------------------------------------------------------------

// A tokenizer whose start token does not decode to nothing (LLaMA-2).

// A file that ends early, or holds more than it should.

// Keys of config.json.

// Tokens that the model has no row for.

// ---- Silently wrong -----------------------------------------------------------------------------------------------

// Weights that are not finite.

// Texts longer than the model's positions.

// What was not measured.

// Two edits with one id.

// Tensors and config.json disagree.

// Where a word begins.

// A null space of everything, and hyper-parameters of another method.

// ---- Missing ------------------------------------------------------------------------------------------------------

// Chat models.

// Subjects inside a longer word.

// ---- Told better --------------------------------------------------------------------------------------------------

// Hyper-parameters of methods that are not here.

// Models that are not all there.

// Prompts, corpora and paths.

}  // namespace
}  // namespace anchorage
