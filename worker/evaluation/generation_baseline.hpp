// What a model generated for the same edits before, by an earlier report of `eval --json --generate`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/edits/edit.hpp"

namespace anchorage::worker {

class GenerationBaseline {
 public:
  // Throws io::UserError when the file is not a report of `eval --json --generate`, or not of these edits with the
  // same prompts and limit.
  GenerationBaseline(const std::filesystem::path& report, std::span<const io::Edit> edits,
                     std::int64_t max_new_tokens);

  // Returns the text after neighborhood prompt `number` of an edit; nothing where it was left out.
  const std::optional<std::string>& neighborhood_text(std::size_t edit, std::size_t number) const {
    return neighborhood_.at(edit).at(number);
  }

 private:
  std::vector<std::vector<std::optional<std::string>>> neighborhood_;
};

}  // namespace anchorage::worker
