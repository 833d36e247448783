// The edits that a command measures a model with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/edits/reader.hpp"

namespace anchorage::launch {

// Reads the first edits of a file, up to the limit (0: all), and all rejected records. Throws io::UserError.
io::EditsFile read_first_edits(const std::string& path, const std::optional<std::string>& format,
                               std::int64_t limit);

// Warns of each record that is set aside.
void log_rejected(const io::EditsFile& file);

}  // namespace anchorage::launch
