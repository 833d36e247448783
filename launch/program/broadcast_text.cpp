#include "launch/program/broadcast_text.hpp"

#include "io/text/text_of.hpp"

namespace anchorage::launch {

std::string broadcast_text(const std::string& text, sharding::HostCommunicator& ranks, std::string_view operation,
                           sharding::Timeout timeout) {
  const auto own = std::as_bytes(std::span(text));
  sharding::HostCommunicator::Bytes bytes(own.begin(), own.end());
  ranks.broadcast(bytes, 0, operation, timeout);
  return std::string(io::text_of(bytes));
}

}  // namespace anchorage::launch
