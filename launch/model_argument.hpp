// MODEL on the command line: a Hugging Face directory, or a run directory (its edited state), with "@N" for the
// state after batch N.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/journal/journal.hpp"
#include "io/model_directory.hpp"
#include "io/run_directory.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "launch/session.hpp"
#include "worker/editing/edited_weights.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::launch {

struct ModelArgument {
  std::filesystem::path base;                // the Hugging Face directory
  std::optional<std::filesystem::path> run;  // where the argument named a run
  std::optional<std::int64_t> batch;         // "@N"
};

// Throws io::UserError when the argument names neither, or a batch that the run does not have.
ModelArgument parse_model_argument(const std::string& argument);

// One step of one layer in a committed segment: W <- W + u v^T.
struct RunUpdate {
  std::int64_t layer;
  torch::Tensor u;  // [d, r] f32
  torch::Tensor v;  // [f, r] f32
};

// Throws io::UserError when the journal has no segment of this number.
void require_segment(const io::Journal& journal, std::int64_t number, const std::string& where);

// What the segments did, in their order.
std::vector<RunUpdate> updates_of(const std::vector<io::JournalEntry>& segments);

// What makes up the run's state, or that after "@N", in its order; nothing for a model.
std::vector<RunUpdate> run_updates(const ModelArgument& argument);

struct OpenedModel {
  io::ModelDirectory directory;
  io::Tokenizer tokenizer;
  worker::Transformer transformer;
};

// Loads this rank's stage of the base model and replays the run's updates up to the batch. The session has been
// arranged. Not collective; all ranks call it.
OpenedModel open_model(const ModelArgument& argument, const Session& session);

}  // namespace anchorage::launch
