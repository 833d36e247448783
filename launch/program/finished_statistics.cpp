#include "launch/program/finished_statistics.hpp"

namespace anchorage::launch {

bool is_finished(const std::filesystem::path& path, const io::StatisticsFingerprint& fingerprint,
                 const std::vector<std::int64_t>& layers, std::int64_t tokens) {
  if (io::statistics_state(path) != io::StatisticsState::finished) return false;
  const auto file = io::StatisticsFile::load(path);
  return file.fingerprint() == fingerprint && file.layers() == layers && file.tokens() == tokens;
}

}  // namespace anchorage::launch
