// `anchorage export`: writes a run's edited model as a Hugging Face directory. Prints each edited tensor and how
// many of its values survived the rounding to its dtype. Exit codes: 0; 2 for bad input, and nothing is left; 1 for
// any other failure.
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "io/model/model_export.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/model_argument.hpp"
#include "launch/program/rebuilt_weights.hpp"
#include "worker/model/tensor_names.hpp"

namespace anchorage::launch {
namespace {

struct Options {
  std::string run;
  std::filesystem::path out;
};

int run(const Options& options, Session& session) {
  if (!session.is_root()) return done;
  const ModelArgument argument = parse_model_argument(options.run);
  if (!argument.run) {
    throw io::UserError({.expected = "a run directory (with run.yaml)",
                         .found = "a model",
                         .where = options.run,
                         .remedy = "a model is already what 'export' would write"});
  }
  const auto base = io::ModelDirectory::open(argument.base);
  auto weights = rebuilt_weights(base, run_updates(argument));
  const bool transposed = base.config().traits().transposed_weights;
  std::map<std::string, io::Replacement> edited;
  for (auto& [layer, weight] : weights) {
    weight = (transposed ? weight.t() : weight).contiguous();
    const std::span values(weight.data_ptr<float>(), static_cast<std::size_t>(weight.numel()));
    edited.emplace(worker::down_projection_name(base, layer), io::Replacement{weight.sizes().vec(), values});
  }
  const io::ExportReport report = io::export_model(base, options.out, edited);

  auto tensors = nlohmann::json::array();
  std::string text = fmt::format("{}: {} edited tensors\n", options.out.string(), report.tensors.size());
  for (const auto& [name, rounding] : report.tensors) {
    tensors.push_back(
        {{"name", name}, {"values", rounding.values}, {"edited", rounding.edited}, {"kept", rounding.kept}});
    text += fmt::format("  {}: {} of {} values edited, {} after rounding\n", name, rounding.edited, rounding.values,
                        rounding.kept);
  }
  session.json() ? session.print(nlohmann::json{{"out", options.out.string()}, {"tensors", tensors}})
                 : session.print(text);
  return done;
}

}  // namespace

void add_export_command(CommandLine& line) {
  auto options = std::make_shared<Options>();
  CLI::App* command = line.app.add_subcommand("export", "Write a run's edited model as a Hugging Face directory");
  command->add_option("run", options->run, "RUN[@N]")->required();
  command->add_option("--out", options->out, "the directory to make")->required();
  add_session_options(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run(*options, session); }; });
}

}  // namespace anchorage::launch
