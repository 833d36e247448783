// Lists names in a message: "a, b or c".
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace anchorage::io {

// Returns the names with commas, and "or" before the last one; nothing for none.
std::string alternatives(std::span<const std::string_view> names);

}  // namespace anchorage::io
