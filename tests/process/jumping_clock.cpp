// For faults_test, loaded before the program: each reading of the wall clock jumps, backward or forward,
// within three years. The monotonic clock stays right.
#include <dlfcn.h>
#include <sys/time.h>

#include <atomic>
#include <cstdint>
#include <ctime>

namespace {

std::time_t jump() {
  static std::atomic<std::uint64_t> looks{0};
  const std::uint64_t mixed = (looks.fetch_add(1) + 1) * 0x9E3779B97F4A7C15U;
  return static_cast<std::time_t>((mixed >> 40U) % 1000) * 86400;
}

int true_time(clockid_t clock, timespec* time) {
  using Function = int (*)(clockid_t, timespec*);
  static const auto function = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "clock_gettime"));
  return function(clock, time);
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const int result = true_time(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += jump();
  return result;
}

extern "C" int gettimeofday(timeval* time, void*) noexcept {
  timespec now{};
  if (::clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  *time = {.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return 0;
}

extern "C" std::time_t time(std::time_t* place) noexcept {
  timespec now{};
  if (::clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (place != nullptr) *place = now.tv_sec;
  return now.tv_sec;
}
