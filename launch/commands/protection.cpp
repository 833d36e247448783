#include "launch/commands/protection.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "io/edits/edit.hpp"
#include "io/error.hpp"
#include "io/log.hpp"
#include "launch/program/broadcast_text.hpp"
#include "launch/program/chat_template.hpp"
#include "worker/statistics/protected_keys.hpp"

namespace anchorage::launch {
namespace {

using nlohmann::json;

void render(std::vector<io::ProtectedPrompt>& prompts, const std::filesystem::path& model,
            const std::string& role) {
  std::vector<std::string> texts;
  for (const io::ProtectedPrompt& one : prompts) texts.push_back(one.prompt);
  const std::vector<std::string> chats = rendered(model, role, texts);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    io::ProtectedPrompt& one = prompts[i];
    if (!one.subject.empty()) {  // whose place must be found in the chat
      io::Edit asked{.id = one.where, .subject = one.subject, .prompt = one.prompt};
      io::set_chat_prompt(asked, chats[i]);
    }
    one.chat_prompt = chats[i];
  }
}

// A run protects what it began with: other keys would make other least squares of the same journal.
void require_same_facts(const std::filesystem::path& file, const io::RunRecord& run) {
  const std::string found = io::read_protected_prompts(file).digest;
  if (run.protection && run.protection->digest == found) return;
  throw io::UserError(
      {.expected = run.protection ? fmt::format("the protected facts that the run began with, {:.12}... ({})",
                                                run.protection->digest, run.protection->file)
                                  : "no --protect: the run began without protected facts",
       .found = fmt::format("{:.12}...", found),
       .where = file.string(),
       .remedy = "leave out --protect, since the run has the keys of its facts, or begin a new run"});
}

}  // namespace

std::optional<io::ProtectedPrompts> facts_to_protect(const EditOptions& options, const io::RunRecord& run) {
  if (options.protect.empty()) return std::nullopt;
  if (options.resume) {
    require_same_facts(options.protect, run);
    return std::nullopt;
  }
  auto facts = io::read_protected_prompts(options.protect);
  if (!run.chat_template.empty()) render(facts.prompts, run.model, run.chat_template);
  return facts;
}

std::optional<io::ProtectedKeys> protected_keys(const EditOptions& options,
                                                const std::optional<io::ProtectedPrompts>& facts,
                                                const OpenedModel& model, const worker::PromptBuilder& prompts,
                                                coordinator::RunPlan& plan, io::RunDirectory* directory,
                                                Session& session) {
  if (options.resume || options.protect.empty() || plan.record.protection)
    return io::protected_keys_of(options.run, plan.record);
  const worker::Transformer& transformer = model.transformer;
  std::string text;
  if (facts) text = json(worker::protected_rows(prompts, facts->prompts, transformer.config.max_positions)).dump();
  const auto rows = json::parse(broadcast_text(text, session.host(), "broadcast protected prompts"))
                        .get<std::vector<worker::TokenIds>>();
  const std::vector<std::int64_t> layers(plan.hparams.layers.begin(), plan.hparams.layers.end());
  const auto keys = worker::collect_protected_keys(transformer, rows, layers, session.communicators());
  json digests;
  if (facts) digests = {facts->digest, directory->write_protected_keys(std::ssize(facts->prompts), keys)};
  digests = json::parse(broadcast_text(digests.dump(), session.host(), "broadcast digests of protected keys"));
  plan.record.protection = {.file = std::filesystem::absolute(options.protect).lexically_normal().string(),
                            .digest = digests.at(0),
                            .keys = digests.at(1)};
  return io::protected_keys_of(options.run, plan.record);
}

}  // namespace anchorage::launch
