// What a rank does during a batch: the activities that the plan predicts and its trace draws.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace anchorage::coordinator {

enum class Activity : std::size_t {
  score,     // the edits' prompts before and after the batch, and the guard's sentences
  contexts,  // prefixes up to the last edited layer, to choose the contexts of each edit
  pass,      // whole rows through the layers below the first edited one, before the first step
  setup,     // whole rows through the layers from the first edited one on, which fills a group's caches
  forward,   // of an optimizer's step, with the head and the loss on the last stage
  backward,
  keys,      // prefixes through the edited layers on edited weights
  products,  // P_t K of the rank's slabs
  factor,    // K^T V, its Cholesky factor and the update, the same on every rank
  accept,    // P_t -= Z_t^T Z of the rank's slabs, and the measure of their drift
  exchange   // gathers and broadcasts between all ranks
};

inline constexpr std::array<std::string_view, 11> activity_names = {"score",   "contexts", "pass",    "setup",
                                                                    "forward", "backward", "keys",    "products",
                                                                    "factor",  "accept",   "exchange"};

constexpr std::string_view name_of(Activity activity) {
  return activity_names[static_cast<std::size_t>(activity)];
}

// Seconds by activity.
class ActivitySeconds {
 public:
  double& operator[](Activity activity) { return seconds_[static_cast<std::size_t>(activity)]; }
  double operator[](Activity activity) const { return seconds_[static_cast<std::size_t>(activity)]; }

  ActivitySeconds& operator+=(const ActivitySeconds& other) {
    for (std::size_t i = 0; i < seconds_.size(); ++i) seconds_[i] += other.seconds_[i];
    return *this;
  }
  // Seconds of computing: without exchange, in which a rank waits for others.
  [[nodiscard]] double busy() const {
    double sum = 0;
    for (const double one : seconds_) sum += one;
    return sum - (*this)[Activity::exchange];
  }

 private:
  std::array<double, activity_names.size()> seconds_{};
};

}  // namespace anchorage::coordinator
