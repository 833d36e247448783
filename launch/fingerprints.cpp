#include "launch/fingerprints.hpp"

#include "io/digest.hpp"

namespace anchorage::launch {

std::string broadcast_text(const std::string& text, sharding::HostCommunicator& ranks, std::string_view operation) {
  const auto own = std::as_bytes(std::span(text));
  sharding::HostCommunicator::Bytes bytes(own.begin(), own.end());
  ranks.broadcast(bytes, 0, operation);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

io::StatisticsFingerprint fingerprint_of(const io::ModelDirectory& model, sharding::HostCommunicator& ranks) {
  const bool root = ranks.rank() == 0;
  io::StatisticsFingerprint fingerprint;
  fingerprint.model_name = model.path().string();
  fingerprint.model = broadcast_text(root ? model.fingerprint() : "", ranks, "broadcast model fingerprint");
  fingerprint.tokenizer =
      broadcast_text(root ? io::sha256_of_file(model.tokenizer()) : "", ranks, "broadcast tokenizer fingerprint");
  return fingerprint;
}

}  // namespace anchorage::launch
