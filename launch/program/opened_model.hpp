// A model ready for a command: its directory, its tokenizer and this rank's part of its weights.
#pragma once

#include <optional>

#include "io/model/model_directory.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "launch/program/model_argument.hpp"
#include "launch/program/session.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::launch {

struct OpenedModel {
  io::ModelDirectory directory;
  io::Tokenizer tokenizer;
  worker::Transformer transformer;
};

// Loads this rank's stage of the base model and replays the run's updates up to the batch; ranks wait for
// each other, since disks are slower for some than for others. Rank 0 warns of inconsistencies
// (model_findings.hpp). The session has been arranged. Collective.
OpenedModel open_model(const ModelArgument& argument, Session& session);

// Opens the model on the first replica only, for work in which the others take no part: they wait, and get
// nothing. Collective.
std::optional<OpenedModel> open_in_first_replica(const ModelArgument& argument, Session& session);

}  // namespace anchorage::launch
