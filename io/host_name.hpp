// This machine's name.
#pragma once

#include <string>

namespace anchorage::io {

std::string host_name();  // "unknown" where the system does not tell

}  // namespace anchorage::io
