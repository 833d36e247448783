// `anchorage score`: prints the log-probabilities of completions after prompts, a line per request, with --json one
// JSON document per request. Exit codes: 0; 2 for bad input; 1 for any other failure.
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "io/text/json_lines.hpp"
#include "io/text/strict_json.hpp"
#include "launch/commands/stage_choice.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/opened_model.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/evaluation/score.hpp"
#include "worker/model/stages.hpp"

namespace anchorage::launch {
namespace {

struct ScoreOptions {
  std::string model, requests;
};

struct Request {
  std::string prompt, completion;
  std::string where;
};

std::vector<Request> read_requests(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    throw io::UserError({.expected = "a file of requests",
                         .found = "none that can be read",
                         .where = path,
                         .remedy = "check the path given to --requests"});
  }
  io::Diagnostic diagnostic{.expected = R"({"prompt": text, "completion": text} on each line)",
                            .found = {},
                            .where = path,
                            .remedy = "fix that line"};
  io::JsonLines lines(file, diagnostic);
  std::vector<Request> requests;
  while (const auto line = lines.next()) {
    const auto& record = line->value;
    const bool usable = record.is_object() && record.contains("prompt") && record["prompt"].is_string() &&
                        record.contains("completion") && record["completion"].is_string();
    if (!usable) {
      diagnostic.found = io::shown(record);
      diagnostic.where = line->where;
      throw io::UserError(diagnostic);
    }
    requests.push_back({record["prompt"], record["completion"], line->where});
  }
  return requests;
}

// Encodes each completion separately, as given, to be appended to the prompt's ids. Throws io::UserError that
// names the line of one that cannot be scored, before any is scored.
std::vector<worker::Completion> requested_completions(const std::vector<Request>& requests,
                                                      const OpenedModel& model) {
  const worker::PromptBuilder prompts(model.tokenizer, model.transformer.config.vocabulary);
  std::vector<worker::Completion> completions;
  for (const Request& request : requests) {
    const worker::Completion& completion = completions.emplace_back(
        worker::Completion{prompts.prompt_ids(request.prompt), model.tokenizer.encode(request.completion)});
    worker::require_scorable(model.transformer, model.tokenizer, completion, request.where);
  }
  return completions;
}

int run_score(const ScoreOptions& options, Session& session) {
  const auto requests = read_requests(options.requests);
  const ModelArgument argument = parse_model_argument(options.model);
  session.arrange(
      choose_stages(workload_of(io::ModelDirectory::open(argument.base).config(), session), session).stages);
  const auto opened = open_in_first_replica(argument, session);
  if (!opened) return done;
  const OpenedModel& model = *opened;
  const auto completions = requested_completions(requests, model);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const worker::Completion& completion = completions[i];
    const auto score = worker::score_completions(model.transformer, std::span(&completion, 1)).front();
    if (session.json()) {
      session.print(nlohmann::json{{"ids", completion.completion},
                                   {"logprobs", score.log_probabilities},
                                   {"nll", score.mean_nll()},
                                   {"argmax", score.argmax}});
    } else {
      session.print(fmt::format("{:8.4f} {} {}|{}\n", score.mean_nll(), score.all_argmax() ? "argmax" : "      ",
                                requests[i].prompt, requests[i].completion));
    }
  }
  return done;
}

}  // namespace

void add_score_command(CommandLine& line) {
  auto options = std::make_shared<ScoreOptions>();
  CLI::App* command = line.app.add_subcommand("score", "Log-probabilities of completions after prompts");
  command->add_option("model", options->model, "MODEL or RUN[@N]")->required();
  command->add_option("--requests", options->requests, R"(JSON Lines of {"prompt", "completion"})")->required();
  add_session_options(*command, line.session);
  add_stages_option(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run_score(*options, session); }; });
}

}  // namespace anchorage::launch
