#include "sharding/collective/deadline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace anchorage::sharding {

CollectiveError::CollectiveError(std::string_view operation, const std::string& message)
    : std::runtime_error(message), operation_(operation) {}

Deadline::Deadline(std::string_view operation, int rank, Seconds limit)
    : operation_(operation), rank_(rank), limit_(limit) {}

std::chrono::steady_clock::time_point Deadline::end() const {
  return start_ + std::chrono::duration_cast<Clock::duration>(limit_);
}

void Deadline::check(std::string_view waited_for) const {
  if (passed()) fail(waited_for);
}

void Deadline::fail(std::string_view waited_for) const {
  throw CollectiveError(operation_, overrun(waited_for));
}

std::string Deadline::overrun(std::string_view waited_for) const {
  return fmt::format(
      "expected '{}' to end within {:g} s, found rank {} still waiting for {} after {:.1f} s; "
      "see what the other ranks report, one of them stopped or fell behind",
      operation_, limit_.count(), rank_, waited_for, elapsed().count());
}

void pause_between_polls(Seconds waited) {
  using std::chrono::microseconds;
  if (waited < microseconds{50}) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(std::clamp<Seconds>(waited / 20, microseconds{20}, microseconds{200}));
  }
}

}  // namespace anchorage::sharding
