// `anchorage info`: describes a model, or a run and its model. Prints a few lines, one JSON document with --json.
// Exit codes: 0; 2 for bad input; 1 for any other failure.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "coordinator/recorded_edits.hpp"
#include "io/error.hpp"
#include "io/run/recorded_run.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/model_argument.hpp"
#include "launch/program/model_findings.hpp"
#include "worker/model/tensor_names.hpp"

namespace anchorage::launch {
namespace {

// The size of the model's tensors, as stored.
struct Size {
  std::int64_t parameters = 0;
  std::int64_t bytes = 0;
};

Size size_of(const io::ModelDirectory& model) {
  Size size;
  for (const std::string& name : model.weights().names()) {
    const auto& stored = model.weights().stored(name);
    std::int64_t count = 1;
    for (const std::int64_t extent : stored.shape) count *= extent;
    size.parameters += count;
    size.bytes += static_cast<std::int64_t>(stored.bytes.size());
  }
  return size;
}

nlohmann::json describe_model(const io::ModelDirectory& model) {
  const auto& config = model.config();
  const Size size = size_of(model);
  return {
      {"path", model.path().string()},
      {"family", config.traits().model_type},
      {"layers", config.layers},
      {"d_model", config.d_model},
      {"d_ff", config.d_ff},
      {"heads", config.heads},
      {"kv_heads", config.kv_heads},
      {"head_dim", config.head_dim},
      {"vocabulary", config.vocabulary},
      {"max_positions", config.max_positions},
      {"tied_head", config.tied_head},
      {"parameters", size.parameters},
      {"weight_bytes", size.bytes},
      {"editable", {{"first", 0}, {"last", config.layers - 1}, {"module", worker::down_projection_name(model, 0)}}},
      // The memory of an edited layer on its owner: the f32 master, the second moment and its inverse in f64.
      {"bytes_per_edited_layer", 4 * config.d_model * config.d_ff + 8 * config.d_ff * config.d_ff}};
}

nlohmann::json describe_run(const std::filesystem::path& path) {
  const auto directory = io::RunDirectory::view(path);
  const auto journal = io::journal_of(directory);
  std::int64_t committed = 0, set_aside = 0, removed = 0;
  for (const auto& recorded : coordinator::recorded_edits(journal)) {
    const bool is_set_aside = recorded.state == io::EditState::set_aside;
    (recorded.is_live() ? committed : is_set_aside ? set_aside : removed) += 1;
  }
  const auto of_kind = [&](io::SegmentKind kind) {
    return std::ranges::count(journal.list(), kind, [](const auto& entry) { return entry.header.kind; });
  };
  return {{"path", path.string()},
          {"method", directory.record().method},
          {"batches", of_kind(io::SegmentKind::batch)},
          {"removals", of_kind(io::SegmentKind::removal)},
          {"rollbacks", of_kind(io::SegmentKind::rollback)},
          {"last", std::ssize(journal.list()) - 1},
          {"edits", {{"committed", committed}, {"set_aside", set_aside}, {"removed", removed}}},
          {"last_commit", journal.empty() ? "" : journal.last().header.utc},
          {"batch_size", directory.record().batch_size},
          {"seed", directory.record().seed},
          {"threads", directory.record().threads}};
}

std::string in_gigabytes(std::int64_t bytes) {
  return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

std::string info_text(const nlohmann::json& model) {
  const auto number = [&](const char* key) { return model[key].get<std::int64_t>(); };
  return fmt::format(
      "{}\n  {} with {} layers, d_model {}, d_ff {}, {} heads ({} key-value), {} tokens, {} positions\n"
      "  {} parameters, {} of weights\n  editable: layers 0 to {}, {} and its like\n"
      "  memory: {} for the weights as stored, and {} for each edited layer; 'anchorage plan' counts all of it\n",
      model["path"].get<std::string>(), model["family"].get<std::string>(), number("layers"), number("d_model"),
      number("d_ff"), number("heads"), number("kv_heads"), number("vocabulary"), number("max_positions"),
      number("parameters"), in_gigabytes(number("weight_bytes")), number("layers") - 1,
      model["editable"]["module"].get<std::string>(), in_gigabytes(number("weight_bytes")),
      in_gigabytes(number("bytes_per_edited_layer")));
}

std::string text_of_run(const nlohmann::json& run) {
  return fmt::format(
      "{}\n  a run of {}: {} batches, {} removals, {} rollbacks; {} edits live, {} set aside, {} removed; last "
      "commit {}\n",
      run["path"].get<std::string>(), run["method"].get<std::string>(), run["batches"].get<std::int64_t>(),
      run["removals"].get<std::int64_t>(), run["rollbacks"].get<std::int64_t>(),
      run["edits"]["committed"].get<std::int64_t>(), run["edits"]["set_aside"].get<std::int64_t>(),
      run["edits"]["removed"].get<std::int64_t>(), run["last_commit"].get<std::string>());
}

int run_info(const std::string& name, Session& session) {
  if (!session.is_root()) return done;
  const ModelArgument argument = parse_model_argument(name);
  if (argument.batch) {
    throw io::UserError({.expected = "a model or a run",
                         .found = "the state of a run after a batch",
                         .where = name,
                         .remedy = fmt::format("'anchorage journal show {} --batch {}' shows a batch",
                                               argument.run->string(), *argument.batch)});
  }
  const auto directory = io::ModelDirectory::open(argument.base);
  warn_of_findings(directory);
  nlohmann::json document = describe_model(directory);
  std::string text = info_text(document);
  if (argument.run) {
    document = {{"run", describe_run(*argument.run)}, {"model", document}};
    text = text_of_run(document["run"]) + text;
  }
  session.json() ? session.print(document) : session.print(text);
  return done;
}

}  // namespace

void add_info_command(CommandLine& line) {
  auto model = std::make_shared<std::string>();
  CLI::App* command = line.app.add_subcommand("info", "What a model or a run is");
  command->add_option("model", *model, "MODEL or RUN")->required();
  add_session_options(*command, line.session);
  command->callback(
      [&line, model] { line.action = [model](Session& session) { return run_info(*model, session); }; });
}

}  // namespace anchorage::launch
