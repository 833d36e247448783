// Writing an edited model as a Hugging Face directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "io/model/model_directory.hpp"

namespace anchorage::io {

// New content of one tensor, row-major fp32. `values` is borrowed.
struct Replacement {
  std::vector<std::int64_t> shape;
  std::span<const float> values;
};

// What rounding to the stored dtype left of an edit.
struct RoundingReport {
  std::int64_t values = 0;  // of the tensor
  std::int64_t edited = 0;  // of those, differ from the base before rounding
  std::int64_t kept = 0;    // of those, still differ after rounding
};

struct ExportReport {
  std::map<std::string, RoundingReport> tensors;  // one entry an edited tensor
  std::vector<std::filesystem::path> left_out;    // files of the base not copied, relative to it
};

// Writes to `out` what `base` has, in the same layout (same shards, same index, all other files copied), with the
// tensors in `edited` replaced and every other byte the same. Edited values are rounded to the dtype that the
// tensor has in the base, to nearest, ties to even. Weights in other formats (*.bin, *.gguf, ...) and hidden
// directories are left out, because they would still be of the model before its edits, and are named in the report.
//
// It is written to `out` + ".partial" beside it and renamed at the end: `out` is whole or not there.
// Errors: UserError where `out` is a directory with something in it, lies in the base, or `out`.partial is there;
// where an edited tensor is not in the base, has another shape, or a value that its dtype cannot hold. SystemError.
ExportReport export_model(const ModelDirectory& base, const std::filesystem::path& out,
                          const std::map<std::string, Replacement>& edited);

}  // namespace anchorage::io
