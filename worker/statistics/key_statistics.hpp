// Collects what editing needs to know of a model on general text: the second moment of the keys of each edited
// layer, E[k k^T] (the C of MEMIT, arXiv 2210.07229, section 4.2), and the median norm of the residual stream after
// each layer.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "io/statistics/statistics_file.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "worker/communicators.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

struct StatisticsOptions {
  std::filesystem::path corpus;
  std::filesystem::path out;
  std::vector<std::int64_t> layers;    // ascending
  std::int64_t tokens = 0;             // to collect
  std::int64_t sequence_length = 512;  // tokens of general text seen at once
  double seconds_between_saves = 60;   // at least; an interrupted collection continues from the last save
  double share_of_saves = 0.1;         // at most so much of the time: a large model's takes minutes
};

struct StatisticsSummary {
  std::int64_t tokens = 0;
  std::int64_t tokens_resumed = 0;  // of them, from an earlier, interrupted run
  double seconds = 0;
};

// Collects and writes the file, or resumes one that was interrupted. Collective: sequences are split over the
// replicas, each layer's keys are summed by its owner in the order of the text, so the file's numbers do not depend
// on the number of ranks, nor on how they are arranged. `progress` is called on rank 0 with the tokens done. Throws
// io::UserError when the corpus has too few tokens.
StatisticsSummary collect_key_statistics(const Transformer& model, const io::Tokenizer& tokenizer,
                                         const io::StatisticsFingerprint& fingerprint,
                                         const StatisticsOptions& options, const Communicators& ranks,
                                         const std::function<void(std::int64_t)>& progress);

}  // namespace anchorage::worker
