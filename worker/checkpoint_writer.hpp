// Writes weight checkpoints (io/run/checkpoint.hpp) while the next batch is computed.
#pragma once

#include <atomic>
#include <filesystem>
#include <thread>

#include "io/run/checkpoint.hpp"
#include "worker/editing/batch_editor.hpp"

namespace anchorage::worker {

class CheckpointWriter {
 public:
  // Waits for the checkpoint that is being written.
  ~CheckpointWriter();

  // Writes the masters of the layers that this rank leads and its slabs in the background, one after the other,
  // from where they lie: they must not change until `wait` returns, while a batch may be applied. Does nothing
  // while an earlier checkpoint is still being written. Warns where the disk refuses, since a run works without
  // checkpoints. Borrows the editor. Not collective; every rank calls it.
  void begin(BatchEditor& editor, const io::CheckpointName& checkpoint);
  void wait();

 private:
  std::atomic<bool> writing_ = false;
  std::jthread thread_;
};

// Loads the checkpoint's weights of the edited layers that this rank holds, and its slabs. Not collective; every
// rank calls it. Throws io::UserError where one of its files is missing or damaged.
void load_checkpoint(BatchEditor& editor, const std::filesystem::path& directory, std::int64_t segment);

}  // namespace anchorage::worker
