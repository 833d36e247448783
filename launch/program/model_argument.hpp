// MODEL on the command line: a Hugging Face directory, or a run directory (its edited state), with "@N" for the
// state after batch N.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/model/model_directory.hpp"
#include "io/run/journal/journal.hpp"
#include "io/run/run_directory.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "launch/program/session.hpp"
#include "worker/editing/update/edited_weights.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::launch {

struct ModelArgument {
  std::filesystem::path base;                // the Hugging Face directory
  std::optional<std::filesystem::path> run;  // where the argument named a run
  std::optional<std::int64_t> batch;         // "@N"
};

// Throws io::UserError when the argument names neither. Whether the run has the batch is found where it is opened.
ModelArgument parse_model_argument(const std::string& argument);

// One step of one layer in a committed segment: W <- W + u v^T.
struct RunUpdate {
  std::int64_t layer;
  torch::Tensor u;  // [d, r] f32
  torch::Tensor v;  // [f, r] f32
};

// What segments did, in their order. It is read while it is visited, one step after the other: those of a long run
// do not fit in memory.
class RunUpdates {
 public:
  explicit RunUpdates(std::vector<io::JournalEntry> segments) : segments_(std::move(segments)) {}

  std::vector<std::int64_t> layers() const;  // that have steps, ascending

  // Calls `visit` with each step; those of layers that are not `wanted` are not read.
  void for_each(
      const std::function<void(const RunUpdate&)>& visit,
      const std::function<bool(std::int64_t)>& wanted = [](std::int64_t) { return true; }) const;

 private:
  std::vector<io::JournalEntry> segments_;
};

// Throws io::UserError when the journal has no segment of this number.
void require_segment(const io::Journal& journal, std::int64_t number, const std::string& where);

// What makes up the run's state, or that after "@N", in its order; nothing for a model.
RunUpdates run_updates(const ModelArgument& argument);

struct OpenedModel {
  io::ModelDirectory directory;
  io::Tokenizer tokenizer;
  worker::Transformer transformer;
};

// Loads this rank's stage of the base model and replays the run's updates up to the batch; ranks wait for each
// other, since disks are slower for some than for others. Rank 0 warns of what does not fit together
// (model_findings.hpp). The session has been arranged. Collective.
OpenedModel open_model(const ModelArgument& argument, Session& session);
// Of the first replica alone, for what the others have no part in: they wait, and get nothing. Collective.
std::optional<OpenedModel> open_in_first_replica(const ModelArgument& argument, Session& session);

}  // namespace anchorage::launch
