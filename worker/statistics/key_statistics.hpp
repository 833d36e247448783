// Collects what editing needs to know of a model on general text: the second moment of the keys of each edited
// layer, E[k k^T] (the C of MEMIT, arXiv 2210.07229, section 4.2), and the median norm of the residual stream
// after each layer up to the last of these.
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
  double seconds_between_saves = 60;   // minimum; an interrupted collection continues from the last save
  double share_of_saves = 0.1;         // largest share of the time for saves, which take minutes for a large model
};

struct StatisticsSummary {
  std::int64_t tokens = 0;
  std::int64_t tokens_resumed = 0;  // those from an earlier, interrupted run
  double seconds = 0;
};

// Collects the statistics and writes the file, or resumes an interrupted collection. Collective: sequences
// are split over the replicas, and each layer's owner sums its keys in the order of the text, so the file's
// numbers depend neither on the number of ranks nor on their arrangement. Calls `progress` on rank 0 with the
// tokens done. Throws io::UserError when the corpus has too few tokens.
StatisticsSummary collect_key_statistics(const Transformer& model, const io::Tokenizer& tokenizer,
                                         const io::StatisticsFingerprint& fingerprint,
                                         const StatisticsOptions& options, const Communicators& ranks,
                                         const std::function<void(std::int64_t)>& progress);

}  // namespace anchorage::worker
