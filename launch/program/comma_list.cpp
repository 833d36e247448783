#include "launch/program/comma_list.hpp"

#include <algorithm>
#include <filesystem>

namespace anchorage::launch {
namespace {

bool names_file(const std::string& part) {
  std::error_code ignored;
  return std::filesystem::exists(part, ignored) ||
         std::filesystem::exists(part.substr(std::min(part.find('=') + 1, part.size())), ignored);
}

}  // namespace

std::vector<std::string> parts_of(const std::string& list) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t first_end = std::min(list.find(',', begin), list.size());
    std::size_t end = list.size();  // end of the longest name of an existing file
    while (end > first_end && !names_file(list.substr(begin, end - begin))) end = list.rfind(',', end - 1);
    if (end > begin) parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  if (parts.empty()) parts.push_back(list);  // names no file; reported like any other such name
  return parts;
}

std::vector<std::string> parts_of(const std::vector<std::string>& lists) {
  std::vector<std::string> parts;
  for (const std::string& list : lists) std::ranges::move(parts_of(list), std::back_inserter(parts));
  return parts;
}

}  // namespace anchorage::launch
