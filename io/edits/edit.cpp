#include "io/edits/edit.hpp"

#include <nlohmann/json.hpp>

#include <span>
#include <utility>

#include "io/date.hpp"
#include "io/edits/fields.hpp"
#include "io/edits/formats.hpp"
#include "io/error.hpp"
#include "io/files/digest.hpp"
#include "io/text/strict_json.hpp"

namespace anchorage::io {

namespace {

std::string filled(const std::string& prompt, const Edit& edit) {
  const std::size_t place = prompt.find("{}");
  check(place != std::string::npos, "prompt without {} in edit " + edit.id);
  return prompt.substr(0, place) + edit.subject + prompt.substr(place + 2);
}

// Chat templates trim the prompt, so the search ignores white space at its end.
std::size_t place_in_chat(const std::string& chat, const std::string& prompt) {
  return chat.find(prompt.substr(0, prompt.find_last_not_of(" \t\r\n") + 1));
}

nlohmann::ordered_json json_of(const std::vector<Neighbor>& neighbors) {
  auto list = nlohmann::ordered_json::array();
  for (const Neighbor& neighbor : neighbors) {
    nlohmann::ordered_json json{{"prompt", neighbor.prompt}, {"answer", neighbor.answer}};
    if (!neighbor.aliases.empty()) json["aliases"] = neighbor.aliases;
    list.push_back(std::move(json));
  }
  return list;
}

}  // namespace

std::vector<std::string> Neighbor::accepted_answers() const {
  std::vector<std::string> answers{answer};
  answers.insert(answers.end(), aliases.begin(), aliases.end());
  return answers;
}

std::string Edit::filled_prompt() const {
  return filled(prompt, *this);
}

std::string Edit::model_prompt() const {
  return filled(chat_prompt.empty() ? prompt : chat_prompt, *this);
}

std::string Edit::prompt_in_context(const std::string& context) const {
  const std::string& whole = chat_prompt.empty() ? prompt : chat_prompt;
  if (context.empty()) return whole;
  return std::string(whole).insert(place_in_chat(whole, prompt), context + ". ");
}

bool Edit::has_expired(const std::chrono::year_month_day& day) const {
  const auto end = date_of(expires);
  return end && *end <= day;
}

void set_chat_prompt(Edit& edit, const std::string& chat_prompt) {
  const std::size_t braces = chat_prompt.find("{}");
  const bool has_one_place = braces != chat_prompt.npos && chat_prompt.find("{}", braces + 2) == chat_prompt.npos;
  if (!has_one_place || place_in_chat(chat_prompt, edit.prompt) == chat_prompt.npos) {
    throw UserError(
        {.expected = fmt::format("a chat with the prompt '{}' in it, and {{}} nowhere else", edit.prompt),
         .found = fmt::format("'{}'", chat_prompt),
         .where = "edit " + edit.id,
         .remedy = "this model's chat template changes prompts: edit without it"});
  }
  edit.chat_prompt = chat_prompt;
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
  if (edit.target_end) json["target_end"] = *edit.target_end;
  if (!edit.paraphrases.empty()) json["paraphrases"] = edit.paraphrases;
  if (!edit.neighborhood.empty()) json["neighborhood"] = json_of(edit.neighborhood);
  if (!edit.portability.empty()) json["portability"] = json_of(edit.portability);
  if (!edit.source.empty()) json["source"] = edit.source;
  if (!edit.as_of.empty()) json["as_of"] = edit.as_of;
  if (!edit.author.empty()) json["author"] = edit.author;
  if (!edit.approved_by.empty()) json["approved_by"] = edit.approved_by;
  if (!edit.expires.empty()) json["expires"] = edit.expires;
  if (!edit.tags.empty()) json["tags"] = edit.tags;
  if (!edit.chat_prompt.empty()) json["chat_prompt"] = edit.chat_prompt;
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
