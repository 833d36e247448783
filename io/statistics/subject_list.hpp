// The list of subjects at whose last tokens second moments of keys are collected (docs/formats.md): prompts about
// subjects, without answers.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace anchorage::io {

struct SubjectPrompt {
  std::string subject;
  std::string prompt;  // a template: holds "{}" exactly once, where the subject goes
  std::string where;   // the record: "subjects.jsonl, line 3"

  bool operator==(const SubjectPrompt&) const = default;
};

struct SubjectList {
  std::string digest;                  // SHA-256 of the file
  std::vector<SubjectPrompt> prompts;  // in the order of the file; a subject has the same template once
};

// Reads a JSON file, in any of the ways of io/edits/container.hpp, whose records each are one of
//
//   {"subject": S, "prompt": T}                          a native edit, for one; "prompts" or "templates": several
//   {"templates": [T, ...], "subjects": [S, ...]}        a relation
//   {"prompt_templates": [T, ...], "samples": [{"subject": S}, ...]}    a relation in LRE's own form
//
// Of a relation the subject of number i, from 0, gets the templates of numbers i and i + 1, counted round: two, or
// the only one there is. Other fields have no effect. Throws UserError for a file that is missing, broken or empty,
// and with the place and the reason for a record that cannot be used.
SubjectList read_subject_list(const std::filesystem::path& path);

// Whether a record names subjects, and so is to be one of those above.
bool names_subjects(const nlohmann::json& record);

// Returns the prompts of such a record, in its order, with this place. Throws BadRecord (io/edits/fields.hpp).
std::vector<SubjectPrompt> subject_prompts_of(const nlohmann::json& record, const std::string& where);

}  // namespace anchorage::io
