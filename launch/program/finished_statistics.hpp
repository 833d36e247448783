#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "io/statistics/statistics_file.hpp"

namespace anchorage::launch {

// Whether the file already holds the statistics of these layers, from so many tokens.
bool is_finished(const std::filesystem::path& path, const io::StatisticsFingerprint& fingerprint,
                 const std::vector<std::int64_t>& layers, std::int64_t tokens);

}  // namespace anchorage::launch
