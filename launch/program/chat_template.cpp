#include "launch/program/chat_template.hpp"

#include <chat_template_script.hpp>  // generated

#include <nlohmann/json.hpp>
#include <utility>

#include "io/error.hpp"
#include "launch/program/broadcast_text.hpp"
#include "launch/program/python_step.hpp"

namespace anchorage::launch {
namespace {

std::string rendered_json(const std::filesystem::path& model, const std::string& role,
                          const std::vector<std::string>& prompts) {
  const nlohmann::json request{{"model", model.string()}, {"role", role}, {"prompts", prompts}};
  auto result = run_python_step(chat_template_script, request);
  if (result.succeeded) return std::move(result.out);
  throw io::UserError(
      {.expected = fmt::format("a chat template that renders messages of the role '{}'", role),
       .found = result.reason,
       .where = model.string(),
       .remedy = "leave out --chat-template, give the other role, or the model's chat_template.jinja"});
}

// Returns pointers to all prompts of the edits.
std::vector<std::string*> prompts_for_evaluation(std::vector<io::Edit>& edits) {
  std::vector<std::string*> prompts;
  for (io::Edit& edit : edits) {
    for (std::string& paraphrase : edit.paraphrases) prompts.push_back(&paraphrase);
    for (io::Neighbor& neighbor : edit.neighborhood) prompts.push_back(&neighbor.prompt);
    for (io::Neighbor& consequence : edit.portability) prompts.push_back(&consequence.prompt);
  }
  return prompts;
}

std::vector<std::string> own_prompts(const std::vector<io::Edit>& edits) {
  std::vector<std::string> prompts;
  for (const io::Edit& edit : edits) prompts.push_back(edit.prompt);
  return prompts;
}

void take(io::EditsFile& file, std::span<const std::string> rendered) {
  io::set_aside(file, [&](std::size_t i) -> std::optional<std::string> {
    try {
      io::set_chat_prompt(file.edits[i], rendered[i]);
      return std::nullopt;
    } catch (const io::UserError& error) {
      return error.what();
    }
  });
}

}  // namespace

void add_chat_template_option(CLI::App& command, std::string& role) {
  command
      .add_option("--chat-template", role,
                  "system or user: each prompt is this message of a chat, rendered with the model's own template")
      ->check(CLI::IsMember({"system", "user"}));
}

std::vector<std::string> rendered(const std::filesystem::path& model, const std::string& role,
                                  const std::vector<std::string>& prompts) {
  return nlohmann::json::parse(rendered_json(model, role, prompts));
}

std::vector<std::string> rendered(const std::filesystem::path& model, const std::string& role,
                                  const std::vector<std::string>& prompts, sharding::HostCommunicator& ranks) {
  const std::string own = ranks.rank() == 0 ? rendered_json(model, role, prompts) : "";
  return nlohmann::json::parse(broadcast_text(own, ranks, "broadcast rendered prompts"));
}

void render_prompts(io::EditsFile& file, const std::filesystem::path& model, const std::string& role) {
  if (!role.empty()) take(file, rendered(model, role, own_prompts(file.edits)));
}

void render_all_prompts(io::EditsFile& file, const std::filesystem::path& model, const std::string& role,
                        sharding::HostCommunicator& ranks) {
  if (role.empty()) return;
  std::vector<std::string> prompts = own_prompts(file.edits);
  const std::vector<std::string*> others = prompts_for_evaluation(file.edits);
  for (const std::string* other : others) prompts.push_back(*other);
  std::vector<std::string> all = rendered(model, role, prompts, ranks);
  for (std::size_t i = 0; i < others.size(); ++i) *others[i] = std::move(all[file.edits.size() + i]);
  take(file, std::span(all).first(file.edits.size()));
}

}  // namespace anchorage::launch
