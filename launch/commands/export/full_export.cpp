#include "launch/commands/export/full_export.hpp"

#include <fmt/format.h>

#include "launch/commands/export/read_back.hpp"
#include "launch/program/rebuilt_weights.hpp"
#include "worker/model/load.hpp"
#include "worker/model/tensor_names.hpp"

namespace anchorage::launch {

io::ExportReport write_full_export(const ExportedRun& run, const std::filesystem::path& directory,
                                   io::Unchanged unchanged) {
  auto weights = rebuilt_weights(run.base, run.updates);
  const bool transposed = run.base.config().traits().transposed_weights;
  std::map<std::string, io::EditedTensor> edited;
  for (auto& [layer, weight] : weights) {
    weight = (transposed ? weight.t() : weight).contiguous();
    const std::span values(weight.data_ptr<float>(), static_cast<std::size_t>(weight.numel()));
    edited.emplace(worker::down_projection_name(run.base, layer), io::EditedTensor{weight.sizes().vec(), values});
  }
  return io::export_model(run.base, directory, edited, unchanged);
}

void report_full_export(ExportReport& report, const io::ExportReport& exported) {
  auto tensors = nlohmann::json::array();
  for (const auto& [name, rounding] : exported.tensors) {
    tensors.push_back(
        {{"name", name}, {"values", rounding.values}, {"edited", rounding.edited}, {"kept", rounding.kept}});
    report.text += fmt::format("  {}: {} of {} values edited, {} after rounding\n", name, rounding.edited,
                               rounding.values, rounding.kept);
  }
  auto weights = nlohmann::json::object();
  for (const auto& [name, placement] : exported.weights) {
    weights[name] = io::name_of(placement);
    report.text += fmt::format("  {}: {}\n", name, io::name_of(placement));
  }
  auto left_out = nlohmann::json::array();
  for (const auto& path : exported.left_out) left_out.push_back(path.string());
  report.document.update({{"tensors", tensors}, {"weights", weights}, {"left_out", left_out}});
}

void verify_full_export(ExportReport& report, const ExportedRun& run, const std::filesystem::path& directory,
                        const Session& session) {
  ReadBackOptions options{.device = session.device(), .dtype = {}};
  if (session.dtype()) options.dtype = worker::scalar_type(*session.dtype());
  const Measures own = measure(run.base, rebuilt_weights(run.base, run.updates), run.edits, options);
  const Measures found = measure(io::ModelDirectory::open(directory), {}, run.edits, options);
  report_difference(report, difference_of(own, found), found);
}

}  // namespace anchorage::launch
