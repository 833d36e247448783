// Writes weight checkpoints (io/run/checkpoint.hpp) while the next batch is computed.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "worker/editing/batch_editor.hpp"

namespace anchorage::worker {

class CheckpointWriter {
 public:
  // Waits for the checkpoint that is being written.
  ~CheckpointWriter();

  // Copies the current state of the layers that this rank owns to main memory and writes it in the
  // background. Does nothing while an earlier checkpoint is still being written. Warns where the disk
  // refuses, since a run works without checkpoints. Not collective; every rank calls it.
  void begin(const BatchEditor& editor, const std::filesystem::path& directory, std::int64_t segment,
             const std::string& digest);

 private:
  std::atomic<bool> writing_ = false;
  std::jthread thread_;
};

// Loads the checkpoint's weights of the edited layers that this rank holds, and the least squares of those
// that it owns. Not collective; every rank calls it. Throws io::UserError where one of its files is missing
// or damaged.
void load_checkpoint(BatchEditor& editor, const std::filesystem::path& directory, std::int64_t segment);

}  // namespace anchorage::worker
