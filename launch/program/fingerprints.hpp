#pragma once

#include "io/model/model_directory.hpp"
#include "io/statistics/statistics_file.hpp"
#include "sharding/collective/host_communicator.hpp"

namespace anchorage::launch {

// Returns the model's path and the digests of model and tokenizer; corpus and sequence length stay unset.
// Collective: rank 0 reads the files.
io::StatisticsFingerprint fingerprint_of(const io::ModelDirectory& model, sharding::HostCommunicator& ranks);

// Returns how long ranks wait for one that reads all weights: one deadline, and one more per GB of weights.
sharding::Timeout timeout_for_reading(const io::ModelDirectory& model);

}  // namespace anchorage::launch
