#include "io/edits/formats.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

#include "io/date.hpp"
#include "io/edits/fields.hpp"
#include "io/error.hpp"
#include "io/nearest_name.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;

struct FormatEntry {
  Format format;
  std::string_view name;
  std::string_view title;   // name of the data set; kept as the edit's source
  std::string_view fields;  // fields that identify the format
};

constexpr std::array formats{
    FormatEntry{Format::native, "native", "", "subject, prompt, target"},
    FormatEntry{Format::counterfact, "counterfact", "CounterFact", "requested_rewrite (an object)"},
    FormatEntry{Format::easyedit, "easyedit", "EasyEdit", "subject, prompt, target_new"},
    FormatEntry{Format::mend_zsre, "mend-zsre", "ZsRE of MEND", "subject, src, alt"},
    FormatEntry{Format::knowedit, "knowedit", "KnowEdit",
                "prompt and target_new with locality by kind, or concept, text, labels"},
    FormatEntry{Format::mquake, "mquake", "MQuAKE", "requested_rewrite (a list)"},
    FormatEntry{Format::qaedit, "qaedit", "QAEdit", "prompt and target with rephrase or a list locality"},
};

const FormatEntry& entry_of(Format format) {
  const auto* found = std::ranges::find(formats, format, &FormatEntry::format);
  check(found != formats.end(), "format without an entry");
  return *found;
}

// Names the record's source, else the data set, and the number of the case where there is one. QAEdit's
// number counts within its source, so two records may have the same.
std::string source_of(Format format, const json& record) {
  std::string source = optional_text(record, "source");
  if (source.empty()) source = entry_of(format).title;
  const auto id = record.find(format == Format::qaedit ? "id" : "case_id");
  if (id == record.end() || id->is_null()) return source;
  return fmt::format("{}, case {}", source, id->is_string() ? id->get<std::string>() : id->dump());
}

// No valid field of a record is spelled almost like a native field, so a near miss is a misspelling; other
// unknown fields are ignored.
void refuse_misspelt_fields(const json& record) {
  constexpr std::array<std::string_view, 11> known{"id",           "subject",       "prompt",      "target",
                                                   "ground_truth", "target_prefix", "paraphrases", "neighborhood",
                                                   "source",       "tags",          "chat_prompt"};
  // Others' fields come closer to these: "probability", "target_id".
  constexpr std::array<std::string_view, 6> known_to_the_letter{"portability", "target_end",  "as_of",
                                                                "author",      "approved_by", "expires"};
  const auto refuse = [](const std::string& key, std::string_view meant) {
    throw BadRecord(fmt::format("field '{}' is not known; is '{}' meant?", key, meant));
  };
  for (const auto& [key, value] : record.items()) {
    const NearestName nearest = nearest_name(key, known);
    if (nearest.distance > 0 && 3 * nearest.distance <= nearest.name.size()) refuse(key, nearest.name);
    const NearestName close = nearest_name(key, known_to_the_letter);
    if (close.distance == 1) refuse(key, close.name);
  }
}

// Reads a list of {"prompt", "answer"}, each with "aliases" where an answer has some.
std::vector<Neighbor> read_neighbors(const json& record, const char* key) {
  std::vector<Neighbor> result;
  const auto list = record.find(key);
  if (list == record.end() || list->is_null()) return result;
  if (!list->is_array()) throw BadRecord(fmt::format("field '{}' is not a list", key));
  for (const json& neighbor : *list) {
    result.push_back({.prompt = required_prompt(neighbor, "prompt"),
                      .answer = required_text(neighbor, "answer"),
                      .aliases = text_list(neighbor, "aliases")});
  }
  return result;
}

Edit read_native(const json& record) {
  Edit edit;
  edit.id = optional_text(record, "id");
  edit.subject = required_text(record, "subject");
  edit.prompt = required_prompt(record, "prompt");
  edit.target = required_text(record, "target");
  edit.ground_truth = optional_text(record, "ground_truth");
  edit.target_prefix = text_as_it_is(record, "target_prefix");
  edit.target_end = optional_truth(record, "target_end");
  edit.paraphrases = prompt_list(record, "paraphrases");
  edit.source = optional_text(record, "source");
  edit.tags = text_list(record, "tags");
  refuse_misspelt_fields(record);
  edit.neighborhood = read_neighbors(record, "neighborhood");
  edit.portability = read_neighbors(record, "portability");
  return edit;
}

std::string optional_date(const json& record, std::string_view key) {
  const std::string text = optional_text(record, key);
  if (!text.empty() && !date_of(text))
    throw BadRecord(fmt::format("field '{}' is '{}', not a date as in 2026-11-29", key, text));
  return text;
}

// Reads where an edit comes from, which records of every format may say.
void take_provenance(const json& record, Edit& edit) {
  edit.as_of = optional_date(record, "as_of");
  edit.expires = optional_date(record, "expires");
  edit.author = optional_text(record, "author");
  edit.approved_by = optional_text(record, "approved_by");
}

// Reads the chat prompt that an earlier rendering recorded.
void take_chat_prompt(const json& record, Edit& edit) {
  const auto chat_prompt = text_as_it_is(record, "chat_prompt");
  if (!chat_prompt) return;
  try {
    set_chat_prompt(edit, *chat_prompt);
  } catch (const UserError& error) {
    throw BadRecord(fmt::format("field 'chat_prompt': {}", error.what()));
  }
}

// Reads the rewrite that CounterFact and MQuAKE share: {"prompt", "subject", "target_new": {"str"},
// "target_true": {"str"}}.
Edit read_rewrite(const json& rewrite) {
  const auto answer_in = [&](const char* key) {
    const auto answer = rewrite.find(key);
    return answer == rewrite.end() || answer->is_null() ? "" : optional_text(*answer, "str");
  };
  Edit edit;
  edit.subject = required_text(rewrite, "subject");
  edit.prompt = required_prompt(rewrite, "prompt");
  edit.target = answer_in("target_new");
  if (edit.target.empty()) throw BadRecord("field 'target_new' holds no 'str'");
  edit.ground_truth = answer_in("target_true");
  edit.tags = text_list(rewrite, "relation_id");
  return edit;
}

void append(std::vector<Neighbor>& all, std::vector<Neighbor> more) {
  all.insert(all.end(), std::move_iterator(more.begin()), std::move_iterator(more.end()));
}

// Reads EasyEdit's `locality` or `portability`: a list of {prompt, ground_truth}, or such lists (or one pair of
// lists) by kind. An entry of the list without an answer has the `fallback`.
std::vector<Neighbor> read_prompts_by_kind(const json& record, const char* key, const std::string& fallback,
                                           Aliases aliases) {
  std::vector<Neighbor> result;
  const auto prompts = record.find(key);
  if (prompts == record.end() || prompts->is_null()) return result;
  if (prompts->is_array()) {
    for (const json& entry : *prompts)
      append(result, neighbors(entry, "prompt", "ground_truth", fallback, aliases));
    return result;
  }
  if (!prompts->is_object()) throw BadRecord(fmt::format("field '{}' is neither a list nor an object", key));
  for (const auto& [kind, entries] : prompts->items()) {
    if (entries.is_null()) continue;
    for (const json& entry : entries_of(entries)) {
      append(result, neighbors(entry, "prompt", "ground_truth", "", aliases));
    }
  }
  return result;
}

// Reads consequences by `read`. Only evaluations need them, so what cannot be read is left out and ends no edit.
template <class Read>
std::vector<Neighbor> consequences(Read read) {
  try {
    return read();
  } catch (const BadRecord&) {
    return {};
  }
}

// Reads EasyEdit's `portability`: by kind as `locality`, or the one question that its earlier files
// ("..._portability_gpt4.json") add to the fields of MEND and CounterFact.
std::vector<Neighbor> read_portability(const json& record) {
  return consequences([&] {
    const auto portability = record.find("portability");
    if (portability != record.end() && portability->is_object() && portability->contains("New Question"))
      return neighbors(*portability, "New Question", "New Answer", "", Aliases::kept);
    return read_prompts_by_kind(record, "portability", "", Aliases::kept);
  });
}

Edit read_counterfact(const json& record) {
  const auto rewrite = record.find("requested_rewrite");
  if (rewrite == record.end()) throw BadRecord("field 'requested_rewrite' is missing");
  Edit edit = read_rewrite(*rewrite);
  edit.paraphrases = prompt_list(record, "paraphrase_prompts");
  for (std::string& prompt : prompt_list(record, "neighborhood_prompts")) {
    if (!edit.ground_truth.empty()) edit.neighborhood.push_back({std::move(prompt), edit.ground_truth});
  }
  edit.portability = read_portability(record);
  return edit;
}

// Reads what is asked over several hops, which follows from all rewrites of a case together. Its hops are no
// consequences: each is a rewrite itself, or a fact that holds without one.
std::vector<Neighbor> multi_hop_questions(const json& record) {
  std::vector<std::string> answers = flat_text_list(record, "new_answer");
  for (std::string& alias : flat_text_list(record, "new_answer_alias")) {
    if (std::ranges::count(answers, alias) == 0) answers.push_back(std::move(alias));
  }
  std::vector<Neighbor> result;
  if (optional_text(record, "new_answer").empty()) return result;
  for (std::string& question : prompt_list(record, "questions")) {
    result.push_back({.prompt = std::move(question),
                      .answer = answers.front(),
                      .aliases = {answers.begin() + 1, answers.end()}});
  }
  return result;
}

Edit read_mquake(const json& record, std::size_t index) {
  const json& rewrite = record["requested_rewrite"][index];
  Edit edit = read_rewrite(rewrite);
  edit.paraphrases = prompt_list(rewrite, "question");
  edit.portability = consequences([&] { return multi_hop_questions(record); });
  return edit;
}

// MEND's unrelated questions, "nq question: who wrote ...", lack the question mark; ROME and MEMIT add it
// too.
void complete_questions(std::vector<Neighbor>& neighbors) {
  for (Neighbor& neighbor : neighbors) {
    std::string& prompt = neighbor.prompt;
    if (prompt.starts_with("nq question: ") && !prompt.ends_with('?')) prompt += '?';
  }
}

Edit read_mend_zsre(const json& record) {
  Edit edit;
  edit.subject = required_text(record, "subject");
  edit.prompt = required_prompt(record, "src");
  edit.target = required_text(record, "alt");
  edit.ground_truth = optional_text(record, "answers");
  edit.paraphrases = prompt_list(record, "rephrase");
  edit.neighborhood = neighbors(record, "loc", "loc_ans", "");
  edit.portability = read_portability(record);
  return edit;
}

// Reads EasyEdit's and KnowEdit's fields: one set of names, of which each file has some.
Edit read_easyedit(const json& record) {
  const auto either = [&](std::string_view key, std::string_view wikibio_key) {
    return record.contains(key) || !record.contains(wikibio_key) ? key : wikibio_key;
  };
  Edit edit;
  edit.subject = required_text(record, either("subject", "concept"));
  edit.prompt = required_prompt(record, either("prompt", "text"));
  edit.target = required_text(record, either("target_new", "labels"));
  edit.ground_truth = optional_text(record, "ground_truth");
  edit.paraphrases = prompt_list(record, record.contains("rephrase_prompt") ? "rephrase_prompt" : "rephrase");
  edit.neighborhood = neighbors(record, "locality_prompt", "locality_ground_truth", "");
  append(edit.neighborhood, read_prompts_by_kind(record, "locality", edit.ground_truth, Aliases::left_out));
  edit.portability = consequences(
      [&] { return neighbors(record, "portability_prompt", "portability_ground_truth", "", Aliases::kept); });
  append(edit.portability, read_portability(record));
  return edit;
}

// QAEdit uses native names for the edit itself, and MEND's for what it must leave alone.
Edit read_qaedit(const json& record) {
  Edit edit;
  edit.subject = required_text(record, "subject");
  edit.prompt = required_prompt(record, "prompt");
  edit.target = required_text(record, "target");
  edit.paraphrases = prompt_list(record, "rephrase");
  const auto locality = record.find("locality");
  if (locality == record.end() || locality->is_null()) return edit;
  for (const json& entry : entries_of(*locality)) append(edit.neighborhood, neighbors(entry, "loc", "loc_ans", ""));
  return edit;
}

Edit read_record(Format format, const json& record, std::size_t index) {
  switch (format) {
    case Format::native:
      return read_native(record);
    case Format::counterfact:
      return read_counterfact(record);
    case Format::mend_zsre:
      return read_mend_zsre(record);
    case Format::mquake:
      return read_mquake(record, index);
    case Format::easyedit:
    case Format::knowedit:
      return read_easyedit(record);
    case Format::qaedit:
      return read_qaedit(record);
  }
  throw InternalError("unknown format");
}

}  // namespace

std::string_view name_of(Format format) {
  return entry_of(format).name;
}

std::optional<Format> format_named(std::string_view name) {
  const auto* found = std::ranges::find(formats, name, &FormatEntry::name);
  if (found == formats.end()) return std::nullopt;
  return found->format;
}

std::string known_formats() {
  std::string text;
  for (const FormatEntry& entry : formats) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : "; ", entry.name, entry.fields);
  }
  return text;
}

std::vector<Format> formats_of(const json& record) {
  if (!record.is_object()) return {};
  const auto has = [&](auto... keys) { return (record.contains(keys) && ...); };
  const auto is_object = [&](const char* key) { return has(key) && record[key].is_object(); };
  std::vector<Format> found;
  if (has("prompt", "target")) {
    const bool is_qaedit = has("rephrase") || (has("locality") && record["locality"].is_array());
    found.push_back(is_qaedit ? Format::qaedit : Format::native);
  }
  if (is_object("requested_rewrite")) found.push_back(Format::counterfact);
  if (has("requested_rewrite") && record["requested_rewrite"].is_array()) found.push_back(Format::mquake);
  if (has("src", "alt")) found.push_back(Format::mend_zsre);
  const bool flat = has("prompt", "target_new");
  const bool by_kind = is_object("locality") || is_object("portability");
  if (flat && !by_kind) found.push_back(Format::easyedit);
  if ((flat && by_kind) || has("concept", "text", "labels")) found.push_back(Format::knowedit);
  return found;
}

std::size_t edit_count(Format format, const json& record) {
  if (!record.is_object()) throw BadRecord(fmt::format("{} where an object is expected", kind_of(record)));
  if (format != Format::mquake) return 1;
  const auto rewrites = record.find("requested_rewrite");
  if (rewrites == record.end() || !rewrites->is_array() || rewrites->empty()) {
    throw BadRecord("field 'requested_rewrite' is not a list of rewrites");
  }
  return rewrites->size();
}

Edit edit_of(Format format, const json& record, std::size_t index) {
  check(index < edit_count(format, record), "edit past the end of its record");
  Edit edit = read_record(format, record, index);
  edit.prompt = template_of(edit.prompt, edit.subject);
  complete_questions(edit.neighborhood);
  if (format != Format::native) edit.source = source_of(format, record);
  take_provenance(record, edit);
  if (edit.id.empty()) edit.id = default_id(edit);
  if (format == Format::native) take_chat_prompt(record, edit);
  return edit;
}

}  // namespace anchorage::io
