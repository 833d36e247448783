// `anchorage tokenize`: prints the token ids of a text, or with --decode the text of ids. Exit codes: 0; 2 for bad
// input; 1 for any other failure.
#include <fmt/ranges.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "io/text/json_lines.hpp"
#include "io/text/strict_json.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "launch/program/command_line.hpp"

namespace anchorage::launch {
namespace {

struct TokenizeOptions {
  std::string model;
  std::optional<std::string> text;
  std::vector<std::int32_t> decode;
  bool special_tokens = false;
};

nlohmann::json encode(const io::Tokenizer& tokenizer, const std::string& text, const TokenizeOptions& options) {
  return tokenizer.encode(text, {.add_special_tokens = options.special_tokens});
}

// Reads one JSON string per line and prints one JSON array of ids per line.
void encode_lines(const io::Tokenizer& tokenizer, const TokenizeOptions& options, const Session& session) {
  io::Diagnostic diagnostic{.expected = "one JSON string a line",
                            .found = {},
                            .where = "standard input",
                            .remedy = "put the text in double quotes, or use --text"};
  io::JsonLines lines(std::cin, diagnostic);
  while (const auto line = lines.next()) {
    if (!line->value.is_string()) {
      diagnostic.found = io::shown(line->value);
      diagnostic.where = line->where;
      throw io::UserError(diagnostic);
    }
    session.print(encode(tokenizer, line->value, options));
  }
}

int run_tokenize(const TokenizeOptions& options, Session& session) {
  if (!session.is_root()) return done;
  const auto tokenizer = io::Tokenizer::load(options.model);
  if (!options.decode.empty()) {
    const std::string text = tokenizer.decode(options.decode, {.skip_special_tokens = !options.special_tokens});
    session.json() ? session.print(nlohmann::json{{"text", text}}) : session.print(text + "\n");
    return done;
  }
  if (!options.text) {
    encode_lines(tokenizer, options, session);
    return done;
  }
  const auto ids = encode(tokenizer, *options.text, options);
  if (session.json()) {
    session.print(nlohmann::json{{"ids", ids}});
  } else {
    session.print(fmt::format("{}\n", fmt::join(ids.get<std::vector<std::int32_t>>(), " ")));
  }
  return done;
}

}  // namespace

void add_tokenize_command(CommandLine& line) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command = line.app.add_subcommand("tokenize", "Text to token ids, and back with --decode");
  command->add_option("model", options->model, "a directory with tokenizer.json, or that file")->required();
  auto* text =
      command->add_option("--text", options->text, "the text; without it, one JSON string a line on stdin");
  command->add_option("--decode", options->decode, "ids to turn into text")->excludes(text);
  command->add_flag("--special-tokens", options->special_tokens, "with the tokenizer's start and end tokens");
  add_session_options(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run_tokenize(*options, session); }; });
}

}  // namespace anchorage::launch
