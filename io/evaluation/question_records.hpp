// Reads the questions of an evaluation from a file of records.
#pragma once

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "io/edits/container.hpp"
#include "io/edits/fields.hpp"
#include "io/error.hpp"

namespace anchorage::io {

// Reads each record by `question_of(const nlohmann::json&)`, in the order of the file. Throws UserError on the
// first record that is no JSON or for which that throws BadRecord; `expected` says what a record holds.
template <typename QuestionOf>
auto questions_in(const std::filesystem::path& path, const std::string& expected, QuestionOf question_of) {
  std::vector<std::invoke_result_t<QuestionOf, const nlohmann::json&>> questions;
  for (const Record& record : read_records(path)) {
    try {
      if (const auto* unreadable = std::get_if<Unreadable>(&record.content)) throw BadRecord(unreadable->reason);
      questions.push_back(question_of(std::get<nlohmann::json>(record.content)));
    } catch (const BadRecord& bad) {
      throw UserError({.expected = expected,
                       .found = bad.what(),
                       .where = record.where,
                       .remedy = "fix the record or remove it"});
    }
  }
  return questions;
}

}  // namespace anchorage::io
