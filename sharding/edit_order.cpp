#include "sharding/edit_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

using Indices = std::vector<std::int64_t>;

// Returns the edits of each subject, by the first of them.
std::deque<Indices> by_subject(std::span<const io::Edit> edits) {
  std::deque<Indices> subjects;
  std::unordered_map<std::string_view, std::size_t> place;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    const auto [entry, is_first] = place.try_emplace(edits[i].subject, subjects.size());
    if (is_first) subjects.emplace_back();
    subjects[entry->second].push_back(static_cast<std::int64_t>(i));
  }
  return subjects;
}

bool is_single(const Indices& of_subject) {
  return of_subject.size() == 1;
}

// Moves the first `count` subjects with one edit before all others; nothing where there are fewer.
void bring_singles_forward(std::deque<Indices>& subjects, std::int64_t count) {
  if (std::ranges::count_if(subjects, is_single) < count) return;
  std::deque<Indices> rest;
  std::vector<Indices> forward;
  for (Indices& of_subject : subjects) {
    if (is_single(of_subject) && std::ssize(forward) < count) {
      forward.push_back(std::move(of_subject));
    } else {
      rest.push_back(std::move(of_subject));
    }
  }
  rest.insert(rest.begin(), std::make_move_iterator(forward.begin()), std::make_move_iterator(forward.end()));
  subjects = std::move(rest);
}

}  // namespace

std::vector<std::int64_t> order_by_subject(std::span<const io::Edit> edits, std::int64_t group_size) {
  io::check(group_size > 0, fmt::format("{} edits in groups of {}", edits.size(), group_size));
  std::deque<Indices> subjects = by_subject(edits);
  Indices order;
  while (!subjects.empty()) {
    const std::int64_t room = group_size - std::ssize(order) % group_size;
    const std::int64_t size = std::ssize(subjects.front());
    if (room < size && size <= group_size) bring_singles_forward(subjects, room);
    order.insert(order.end(), subjects.front().begin(), subjects.front().end());
    subjects.pop_front();
  }
  return order;
}

}  // namespace anchorage::sharding
