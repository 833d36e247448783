#pragma once

#include <string>
#include <string_view>

#include "sharding/collective/host_communicator.hpp"

namespace anchorage::launch {

// Returns rank 0's text on every rank. Collective.
std::string broadcast_text(const std::string& text, sharding::HostCommunicator& ranks, std::string_view operation,
                           sharding::Timeout timeout = sharding::Timeout::until_deadline);

}  // namespace anchorage::launch
