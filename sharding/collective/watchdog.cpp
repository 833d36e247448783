#include "sharding/collective/watchdog.hpp"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace anchorage::sharding {

Watchdog::Watchdog(const Deadline& deadline, std::string waited_for)
    : deadline_(deadline), waited_for_(std::move(waited_for)) {
  thread_ = std::jthread([this] { watch(); });
}

Watchdog::~Watchdog() {
  const std::scoped_lock lock(mutex_);
  called_off_ = true;
  changed_.notify_one();
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  if (changed_.wait_until(lock, deadline_.end(), [this] { return called_off_; })) return;
  std::fprintf(stderr, "error: %s\n", deadline_.overrun(waited_for_).c_str());
  std::fflush(nullptr);
  std::_Exit(EXIT_FAILURE);
}

}  // namespace anchorage::sharding
