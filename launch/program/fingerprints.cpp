#include "launch/program/fingerprints.hpp"

#include "io/files/digest.hpp"
#include "launch/program/broadcast_text.hpp"

namespace anchorage::launch {

sharding::Timeout timeout_for_reading(const io::ModelDirectory& model) {
  std::int64_t bytes = 0;
  for (const std::string& name : model.weights().names()) bytes += std::ssize(model.weights().stored(name).bytes);
  return sharding::Timeout::steps(1 + bytes / 1'000'000'000);
}

io::StatisticsFingerprint fingerprint_of(const io::ModelDirectory& model, sharding::HostCommunicator& ranks) {
  const bool root = ranks.rank() == 0;
  io::StatisticsFingerprint fingerprint;
  fingerprint.model_name = model.path().string();
  fingerprint.model = broadcast_text(root ? model.fingerprint() : "", ranks, "broadcast model fingerprint",
                                     timeout_for_reading(model));
  fingerprint.tokenizer =
      broadcast_text(root ? io::sha256_of_file(model.tokenizer()) : "", ranks, "broadcast tokenizer fingerprint");
  return fingerprint;
}

}  // namespace anchorage::launch
