#pragma once

#include "io/model/model_directory.hpp"
#include "io/statistics/statistics_file.hpp"
#include "sharding/collective/host_communicator.hpp"

namespace anchorage::launch {

// The model's and the tokenizer's digests, for what is bound to them; corpus and sequence length are left open.
// Collective: rank 0 reads the files.
io::StatisticsFingerprint fingerprint_of(const io::ModelDirectory& model, sharding::HostCommunicator& ranks);

// How long ranks wait for one that reads all weights: a deadline more for each GB of them.
sharding::Timeout timeout_for_reading(const io::ModelDirectory& model);

}  // namespace anchorage::launch
