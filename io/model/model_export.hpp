// Writes an edited model as a Hugging Face directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "io/files/shared_file.hpp"
#include "io/model/model_directory.hpp"

namespace anchorage::io {

// The new content of one tensor, row-major fp32. `values` is borrowed.
struct EditedTensor {
  std::vector<std::int64_t> shape;
  std::span<const float> values;
};

// What of an edit survives rounding to the stored dtype.
struct RoundingReport {
  std::int64_t values = 0;  // of the tensor
  std::int64_t edited = 0;  // those that differ from the base before rounding
  std::int64_t kept = 0;    // those of them that still differ after rounding
};

// What becomes of files of weights in which nothing was edited.
enum class Unchanged { copy, share };

struct ExportReport {
  std::map<std::string, RoundingReport> tensors;  // one entry per edited tensor
  std::map<std::string, Placement> weights;       // files of weights, and how each came into the export
  std::vector<std::filesystem::path> left_out;    // files of the base not copied, relative to it
};

// Writes the content of `base` into the directory `out`, in the same layout (same shards, same index, all other
// files copied), with the tensors in `edited` replaced and every other byte the same. Rounds edited values to the
// dtype that the tensor has in the base, to nearest, ties to even. With Unchanged::share, files of weights without
// an edited tensor are linked where the file system can (io/files/shared_file.hpp); other files are always copies,
// since people change them. Leaves out weights in other formats (*.bin, *.gguf, ...), which would still hold the
// unedited model, hidden directories, and the base's README.md and SHA256SUMS, and names them in the report.
//
// `out` exists and is empty: a StagingDirectory. Errors: UserError where an edited tensor is not in the base, has
// another shape, or a value that its dtype cannot hold. SystemError where the disk refuses.
ExportReport export_model(const ModelDirectory& base, const std::filesystem::path& out,
                          const std::map<std::string, EditedTensor>& edited, Unchanged unchanged = Unchanged::copy);

}  // namespace anchorage::io
