#include "io/layer_numbers.hpp"

#include <algorithm>
#include <charconv>

#include "io/error.hpp"

namespace anchorage::io {

std::vector<std::int64_t> layer_numbers(const hdf5::Group& group, const std::string& where) {
  std::vector<std::int64_t> numbers;
  for (const std::string& name : group.children()) {
    const char* last = name.data() + name.size();
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), last, number);
    if (error != std::errc() || end != last) {
      throw UserError({.expected = "a layer's number",
                       .found = "'" + name + "'",
                       .where = where,
                       .remedy = "use the version of anchorage that wrote it, or take the file from a copy"});
    }
    numbers.push_back(number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

}  // namespace anchorage::io
