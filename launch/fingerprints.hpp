#pragma once

#include "io/model_directory.hpp"
#include "io/statistics_file.hpp"
#include "sharding/collective/host_communicator.hpp"

namespace anchorage::launch {

// The model's and the tokenizer's digests, for what is bound to them; corpus and sequence length are left open.
// Collective: rank 0 reads the files.
io::StatisticsFingerprint fingerprint_of(const io::ModelDirectory& model, sharding::HostCommunicator& ranks);

// Rank 0's text, on every rank. Collective.
std::string broadcast_text(const std::string& text, sharding::HostCommunicator& ranks, std::string_view operation);

}  // namespace anchorage::launch
