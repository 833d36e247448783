// The forms in which records of facts are published, distinguished by their fields, and what an edit takes
// from each. docs/edits.md shows an example of each.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/edits/edit.hpp"

namespace anchorage::io {

enum class Format {
  native,
  counterfact,  // ROME's and MEMIT's CounterFact: `requested_rewrite` is one object
  easyedit,     // EasyEdit's CounterFact and ZsRE: `prompt`, `target_new`, `rephrase_prompt`, `locality_prompt`
  mend_zsre,    // MEND's ZsRE: `src`, `alt`, `answers`, `loc`, `loc_ans`
  knowedit,  // KnowEdit: `prompt`, `target_new`, `portability` and `locality` by kind; WikiBio's `text`, `labels`
  mquake,    // MQuAKE: `requested_rewrite` is a list, and each entry an edit
  qaedit,    // QAEdit: `prompt`, `target`, `rephrase`, `locality` as a list of `loc`, `loc_ans`
};

// "native", "counterfact", "easyedit", "mend-zsre", "knowedit", "mquake", "qaedit".
std::string_view name_of(Format format);
std::optional<Format> format_named(std::string_view name);
// Lists every name with the fields that identify it, for messages.
std::string known_formats();

// Returns the formats whose identifying fields the record has: none, one, or several when it is not clear.
std::vector<Format> formats_of(const nlohmann::json& record);

// Returns how many edits the record holds: the number of rewrites of an MQuAKE case, 1 otherwise. Throws
// BadRecord.
std::size_t edit_count(Format format, const nlohmann::json& record);

// Returns edit `index` of the record, with its id. Throws BadRecord (io/edits/fields.hpp).
Edit edit_of(Format format, const nlohmann::json& record, std::size_t index);

}  // namespace anchorage::io
