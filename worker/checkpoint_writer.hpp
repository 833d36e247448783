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
  // Waits for what is being written.
  ~CheckpointWriter();

  // Takes the state of the layers that this rank owns as it is now into main memory and writes it in the
  // background. Nothing happens while an earlier one is still being written. What the disk refuses is a warning: a
  // run works without. Not collective; every rank calls it.
  void begin(const BatchEditor& editor, const std::filesystem::path& directory, std::int64_t segment,
             const std::string& digest);

 private:
  std::atomic<bool> writing_ = false;
  std::jthread thread_;
};

// Takes over the checkpoint's weights of the edited layers that this rank holds, and the least squares of those
// that it owns. Not collective; every rank calls it. Throws io::UserError where a file of it is missing or damaged.
void load_checkpoint(BatchEditor& editor, const std::filesystem::path& directory, std::int64_t segment);

}  // namespace anchorage::worker
