#include "launch/program/finished_statistics.hpp"

#include "io/files/digest.hpp"

namespace anchorage::launch {

bool is_finished(const std::filesystem::path& path, const io::StatisticsFingerprint& fingerprint,
                 const std::vector<std::int64_t>& layers, std::int64_t tokens) {
  if (io::statistics_state(path) != io::StatisticsState::finished) return false;
  const auto file = io::StatisticsFile::load(path);
  return file.fingerprint() == fingerprint && file.layers() == layers && file.tokens() == tokens;
}

std::string statistics_digest(const std::filesystem::path& path, const io::Hparams& hparams) {
  const auto file = io::StatisticsFile::load(path);
  if (hparams.subject_share > 0) file.require_subjects();
  const bool as_before = file.subjects() && hparams.subject_share == 0;
  return as_before ? file.digest_without_subjects() : io::sha256_of_file(path);
}

}  // namespace anchorage::launch
