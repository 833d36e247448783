#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "io/facts/reader.hpp"
#include "launch/command_line.hpp"
#include "launch/model_argument.hpp"
#include "worker/evaluation/edit_metrics.hpp"
#include "worker/evaluation/text_loss.hpp"

namespace anchorage::launch {
namespace {

struct Options {
  std::string model, edits;
  std::optional<std::string> heldout;
  std::int64_t limit = 0;
  std::int64_t sequence_length = 512;
};

nlohmann::json document_of(const worker::Metric& metric) {
  return {{"success", metric.success},
          {"accuracy", metric.accuracy},
          {"magnitude", metric.magnitude},
          {"edits", metric.edits},
          {"compared", metric.compared}};
}

std::string table_of(const worker::EditMetrics& metrics) {
  std::string table =
      fmt::format("{:<14}{:>9}{:>10}{:>11}{:>8}\n", "", "success", "accuracy", "magnitude", "edits");
  const auto add = [&](const char* name, const worker::Metric& metric) {
    table += fmt::format("{:<14}{:>9.3f}{:>10.3f}{:>11.3f}{:>8}\n", name, metric.success, metric.accuracy,
                         metric.magnitude, metric.edits);
  };
  add("efficacy", metrics.efficacy);
  add("paraphrase", metrics.paraphrase);
  add("neighborhood", metrics.neighborhood);
  return table + fmt::format("score {:.3f} over {} edits\n", metrics.score, metrics.edits);
}

int run(const Options& options, Session& session) {
  auto edits = io::read_edits(options.edits).edits;
  if (options.limit > 0 && std::ssize(edits) > options.limit) edits.resize(static_cast<std::size_t>(options.limit));
  const OpenedModel model = open_model(parse_model_argument(options.model), session);
  const worker::PromptBuilder prompts(model.tokenizer);
  const auto metrics = worker::evaluate_edits(model.transformer, prompts, edits, session.ranks());
  nlohmann::json document = {{"n", metrics.edits},
                             {"efficacy", document_of(metrics.efficacy)},
                             {"paraphrase", document_of(metrics.paraphrase)},
                             {"neighborhood", document_of(metrics.neighborhood)},
                             {"score", metrics.score}};
  std::string table = table_of(metrics);
  if (options.heldout) {
    const auto text = worker::loss_on_text(model.transformer, model.tokenizer, *options.heldout,
                                           options.sequence_length, session.ranks());
    document["heldout"] = {{"loss", text.loss}, {"tokens", text.tokens}};
    table += fmt::format("held-out loss {:.4f} nats a token over {} tokens\n", text.loss, text.tokens);
  }
  session.json() ? session.print(document) : session.print(table);
  return done;
}

}  // namespace

void add_eval_command(CommandLine& line) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      line.app.add_subcommand("eval", "How well a model holds edits, and what they did to their neighbourhood");
  command->add_option("model", options->model, "MODEL or RUN[@N]")->required();
  command->add_option("--edits", options->edits, "a file of edits, in any of the known formats")->required();
  command->add_option("--limit", options->limit, "of the file's edits, the first N")->check(CLI::PositiveNumber);
  command->add_option("--heldout", options->heldout, "a text file: the loss on it");
  command->add_option("--sequence-length", options->sequence_length, "tokens of held-out text seen at once")
      ->check(CLI::Range(2, 1 << 20));
  add_session_options(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run(*options, session); }; });
}

}  // namespace anchorage::launch
