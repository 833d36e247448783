#include "io/facts/edit.hpp"

#include <nlohmann/json.hpp>

#include <span>

#include "io/digest.hpp"
#include "io/error.hpp"
#include "io/facts/fields.hpp"
#include "io/facts/formats.hpp"
#include "io/strict_json.hpp"

namespace anchorage::io {

std::string Edit::filled_prompt() const {
  const std::size_t place = prompt.find("{}");
  check(place != std::string::npos, "prompt without {} in edit " + id);
  return prompt.substr(0, place) + subject + prompt.substr(place + 2);
}

std::string default_id(const Edit& edit) {
  std::string text;
  for (const std::string* part : {&edit.subject, &edit.prompt, &edit.target}) text.append(*part).push_back('\0');
  return sha256_hex(std::as_bytes(std::span(text))).substr(0, 16);
}

std::string to_json(const Edit& edit) {
  nlohmann::ordered_json json{
      {"id", edit.id}, {"subject", edit.subject}, {"prompt", edit.prompt}, {"target", edit.target}};
  if (!edit.ground_truth.empty()) json["ground_truth"] = edit.ground_truth;
  if (edit.target_prefix) json["target_prefix"] = *edit.target_prefix;
  if (!edit.paraphrases.empty()) json["paraphrases"] = edit.paraphrases;
  for (const Neighbor& neighbor : edit.neighborhood) {
    json["neighborhood"].push_back(
        nlohmann::ordered_json{{"prompt", neighbor.prompt}, {"answer", neighbor.answer}});
  }
  if (!edit.source.empty()) json["source"] = edit.source;
  if (!edit.tags.empty()) json["tags"] = edit.tags;
  return json.dump();
}

Edit edit_from_json(std::string_view text, const std::string& where) {
  try {
    return edit_of(Format::native, parse_strict_json(text, where), 0);
  } catch (const BadRecord& bad) {
    throw UserError({.expected = "one edit",
                     .found = bad.what(),
                     .where = where,
                     .remedy = "see docs/edits.md for the fields of an edit"});
  }
}

}  // namespace anchorage::io
