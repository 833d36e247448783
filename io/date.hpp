// Calendar dates as files give them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace anchorage::io {

// Reads "2026-11-29" (ISO 8601); nothing for another text, or for a day that does not exist.
std::optional<std::chrono::year_month_day> date_of(std::string_view text);

// Writes the same.
std::string text_of(const std::chrono::year_month_day& date);

// Returns today's date, UTC.
std::chrono::year_month_day today();

// Now, as "2026-11-29T23:00:00Z".
std::string utc_now();

}  // namespace anchorage::io
