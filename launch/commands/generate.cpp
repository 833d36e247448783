// `anchorage generate`: continues prompts. Prints each prompt with its continuation, with --json text and ids. Exit
// codes: 0; 2 for bad input; 1 for any other failure.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "io/log.hpp"
#include "launch/commands/stage_choice.hpp"
#include "launch/program/chat_template.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/number_checks.hpp"
#include "launch/program/opened_model.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/model/embedding_rows.hpp"
#include "worker/model/generate.hpp"
#include "worker/model/stages.hpp"

namespace anchorage::launch {
namespace {

struct GenerateOptions {
  std::string model;
  std::vector<std::string> prompts;
  std::string chat_template;
  worker::GenerateOptions generate;
};

// Returns the prompts' ids; throws io::UserError for one that the model cannot continue, before any is
// continued.
std::vector<worker::TokenIds> prompts_of(const std::vector<std::string>& texts, const OpenedModel& model) {
  const io::ModelConfig& config = model.transformer.config;
  const worker::PromptBuilder builder(model.tokenizer, config.vocabulary);
  std::vector<worker::TokenIds> prompts;
  for (const std::string& text : texts) {
    const std::string where = fmt::format("--prompt '{:.80}'", text);
    prompts.push_back(builder.prompt_ids(text));
    if (prompts.back().empty()) {
      throw io::UserError({.expected = "a prompt of at least one token",
                           .found = "none: the tokenizer puts no start token before a text",
                           .where = where,
                           .remedy = "give a text to continue"});
    }
    worker::require_rows(prompts.back(), model.tokenizer, config.vocabulary, where);
    if (std::ssize(prompts.back()) <= config.max_positions) continue;
    throw io::UserError(
        {.expected = fmt::format("a prompt of at most the model's {} positions", config.max_positions),
         .found = fmt::format("{} tokens", prompts.back().size()),
         .where = where,
         .remedy = "shorten it"});
  }
  return prompts;
}

// The last new token takes no position. All prompts end together, since they are continued together.
void warn_of_last_position(const std::vector<worker::TokenIds>& prompts, std::int64_t asked,
                           const io::ModelConfig& config) {
  const std::int64_t longest = std::ssize(std::ranges::max(prompts, {}, &worker::TokenIds::size));
  const std::int64_t possible = config.max_positions - longest + 1;
  if (asked <= possible) return;
  spdlog::warn("a prompt takes {} of the model's {} positions: at most {} new tokens and not {} are generated",
               longest, config.max_positions, possible, asked);
}

int run_generate(GenerateOptions options, Session& session) {
  const ModelArgument argument = parse_model_argument(options.model);
  const auto texts = options.chat_template.empty()
                         ? options.prompts
                         : rendered(argument.base, options.chat_template, options.prompts, session.host());
  session.arrange(
      choose_stages(workload_of(io::ModelDirectory::open(argument.base).config(), session), session).stages);
  const auto opened = open_in_first_replica(argument, session);
  if (!opened) return done;
  const OpenedModel& model = *opened;
  const auto prompts = prompts_of(texts, model);
  if (session.is_root()) warn_of_last_position(prompts, options.generate.max_new_tokens, model.transformer.config);
  options.generate.stop_ids = worker::end_of_text_ids(model.transformer.config);
  const auto rows = worker::generate(model.transformer, prompts, options.generate);
  auto answers = nlohmann::json::array();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string text = model.tokenizer.decode(rows[i]);
    answers.push_back({{"prompt", options.prompts[i]}, {"text", text}, {"ids", rows[i]}});
    if (!session.json()) session.print(options.prompts[i] + text + "\n");
  }
  if (session.json())
    session.print(answers.size() == 1 ? answers.front() : nlohmann::json{{"generations", answers}});
  return done;
}

}  // namespace

void add_generate_command(CommandLine& line) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* command = line.app.add_subcommand("generate", "Continue prompts");
  command->add_option("model", options->model, "MODEL or RUN[@N]")->required();
  command->add_option("--prompt", options->prompts, "a text to continue; may be given several times")->required();
  add_chat_template_option(*command, options->chat_template);
  command->add_option("--max-new-tokens", options->generate.max_new_tokens, "at the most")->check(whole_number(1));
  command->add_option("--temperature", options->generate.temperature, "0: always the most probable token")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--top-p", options->generate.top_p, "sample among the fewest tokens with this probability")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--seed", options->generate.seed, "of the draw");
  add_session_options(*command, line.session);
  add_stages_option(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run_generate(*options, session); }; });
}

}  // namespace anchorage::launch
