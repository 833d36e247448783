// Collects what the keys are where edits are made: their second moment at the last tokens of subjects in short
// prompts, E[k k^T], for the layers of which a statistics file has that of general text. docs/method.md, section 3,
// says what for.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "io/statistics/subject_list.hpp"
#include "worker/communicators.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// The prompts of a list as tokens, each up to its subject's last one: what comes later has no part in its key.
struct SubjectTokens {
  std::vector<TokenIds> rows;    // in the order of the list
  std::int64_t left_out = 0;     // prompts that cannot be used
  std::string first_left_out{};  // the first of them, with its place and the reason; empty: none
};

// Every second prompt stands after a short opening, the openings in turn. Leaves out what takes more than
// `positions`, needs a token that the model has no row for, or has no token that stands for the subject's end.
SubjectTokens subject_tokens(const PromptBuilder& prompts, const io::SubjectList& list, std::int64_t positions);

struct SubjectSummary {
  std::int64_t rows = 0;
  std::int64_t left_out = 0;
  double seconds = 0;
};

// Collects the second moments and adds them to `statistics`, a finished file of this model without any. Collective:
// fixed groups of prompts are split over the replicas, and each layer's owner sums their keys in the order of the
// list (key_sums.hpp), so the file's numbers depend neither on the number of ranks nor on their arrangement. Rank 0
// writes, while no other rank waits, and warns of prompts that are left out; until then the file is as it was.
// Calls `progress` on rank 0 with the prompts done. Throws io::UserError where no prompt can be used.
SubjectSummary collect_subject_moments(const Transformer& model, const PromptBuilder& prompts,
                                       const io::SubjectList& list, const std::filesystem::path& statistics,
                                       const Communicators& ranks,
                                       const std::function<void(std::int64_t)>& progress);

}  // namespace anchorage::worker
