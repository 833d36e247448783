#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/hparams/hparams.hpp"
#include "io/statistics/statistics_file.hpp"

namespace anchorage::launch {

// Whether the file already holds the statistics of these layers, from so many tokens.
bool is_finished(const std::filesystem::path& path, const io::StatisticsFingerprint& fingerprint,
                 const std::vector<std::int64_t>& layers, std::int64_t tokens);

// Returns the digest by which a run with these hyper-parameters knows a finished file. Without a subject_share it
// is that of the file before subjects were added, so that adding them ends no run; otherwise it is the file's own.
// Throws io::UserError where subject_share asks for second moments of subjects and the file has none.
std::string statistics_digest(const std::filesystem::path& path, const io::Hparams& hparams);

}  // namespace anchorage::launch
