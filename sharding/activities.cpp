#include "sharding/activities.hpp"

#include <numeric>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

double sum_of(const Activities::SecondsByName& seconds) {
  return std::accumulate(seconds.begin(), seconds.end(), 0.0,
                         [](double sum, const auto& one) { return sum + one.second; });
}

}  // namespace

Activities::Scope::Scope(Activities* activities, Kind kind, std::string_view name)
    : activities_(activities != nullptr && activities->open(kind, name) ? activities : nullptr) {}

Activities::Scope::~Scope() {
  if (activities_ != nullptr) activities_->close();
}

void Activities::start(std::size_t intervals) {
  io::check(open_.empty(), "activities are counted from outside of all of them");
  intervals_.clear();
  activities_.clear();
  waits_.clear();
  flops_.clear();
  product_seconds_.clear();
  counted_ = total_ = idle_ = 0;
  most_intervals_ = intervals;
  is_cut_off_ = false;
  is_counting_ = true;
  start_ = Clock::now();
}

void Activities::count_products(double flops, double seconds) {
  if (!is_counting_ || open_.empty() || open_.back().kind != Kind::activity) return;
  flops_[std::string(open_.back().name)] += flops;
  if (seconds > 0) product_seconds_[std::string(open_.back().name)] += seconds;
}

void Activities::stop() {
  io::check(open_.empty(), "activities are counted until all of them have ended");
  total_ = now();
  is_counting_ = false;
}

double Activities::busy_share() const {
  return total_ > 0 ? sum_of(activities_) / total_ : 0;
}

double Activities::waited() const {
  return sum_of(waits_);
}

bool Activities::open(Kind kind, std::string_view name) {
  if (!is_counting_) return false;
  if (kind == Kind::wait && (open_.empty() || open_.back().kind == Kind::wait)) return false;
  const double begin = now();
  SecondsByName& sums = kind == Kind::wait ? waits_ : activities_;
  auto sum = sums.find(name);
  if (sum == sums.end()) sum = sums.emplace(name, 0).first;
  open_.push_back({.name = sum->first, .sum = &sum->second, .kind = kind, .interval = intervals_.size()});
  if (intervals_.size() < most_intervals_) {
    intervals_.push_back({.name = sum->first, .kind = kind, .begin = begin, .end = begin});
  } else if (most_intervals_ > 0) {
    is_cut_off_ = true;
    open_.back().interval = most_intervals_;
  }
  if (listener_ != nullptr) listener_->opened(open_.back().name);
  return true;
}

void Activities::close() {
  const double end = now();
  if (const std::size_t interval = open_.back().interval; interval < intervals_.size()) {
    intervals_[interval].end = end;
  }
  open_.pop_back();
  if (listener_ != nullptr) listener_->closed();
}

double Activities::now() {
  const double now = std::chrono::duration<double>(Clock::now() - start_).count();
  (open_.empty() ? idle_ : *open_.back().sum) += now - counted_;
  counted_ = now;
  if (listener_ != nullptr) listener_->passed(open_.empty() ? std::string_view() : open_.back().name);
  return now;
}

}  // namespace anchorage::sharding
