#include "launch/program/opened_model.hpp"

#include <utility>

#include "io/tokenizer/tokenizer_config.hpp"
#include "launch/program/fingerprints.hpp"
#include "launch/program/model_findings.hpp"
#include "sharding/collective/host_communicator.hpp"
#include "worker/editing/update/edited_weights.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/model/load.hpp"

namespace anchorage::launch {
namespace {

OpenedModel load(const ModelArgument& argument, const Session& session) {
  auto directory = io::ModelDirectory::open(argument.base);
  auto tokenizer = io::Tokenizer::load(directory.tokenizer());
  const auto tokens_of_config = io::tokens_of_config_alone(directory.path(), tokenizer);  // all ranks find errors
  if (session.is_root()) {
    warn_of_findings(directory);
    warn_of_tokens_without_row(tokenizer, directory);
    warn_of_tokens_of_config_alone(tokens_of_config, directory);
  }
  worker::LoadOptions options{
      .device = session.device(),
      .dtype = {},
      .stages = session.stages(),
      .forms = worker::kernels::all_but(session.reference_kernels(), "--reference-kernels")};
  if (session.dtype()) options.dtype = worker::scalar_type(*session.dtype());
  auto transformer = worker::load_transformer(directory, options);
  const auto updates = run_updates(argument);
  worker::EditedWeights weights(transformer, directory, updates.layers());
  updates.for_each(
      [&](const io::RunUpdate& update) {
        weights.replay(update.layer, worker::to_tensor(update.u), worker::to_tensor(update.v));
      },
      [&](std::int64_t layer) { return weights.holds(layer); });
  return {std::move(directory), std::move(tokenizer), std::move(transformer)};
}

void wait_for_all(const io::ModelDirectory& model, Session& session) {
  session.host().barrier("wait for all to load the model", timeout_for_reading(model));
}

}  // namespace

OpenedModel open_model(const ModelArgument& argument, Session& session) {
  OpenedModel model = load(argument, session);
  wait_for_all(model.directory, session);
  return model;
}

std::optional<OpenedModel> open_in_first_replica(const ModelArgument& argument, Session& session) {
  std::optional<OpenedModel> model;
  if (session.place().replica == 0) model = load(argument, session);
  wait_for_all(io::ModelDirectory::open(argument.base), session);
  return model;
}

}  // namespace anchorage::launch
