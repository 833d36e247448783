// protected.h5 of a run directory: the keys of the facts that the run protects, on the weights before any edit.
// Every replay of the run begins with them, so that it needs neither the file of these facts nor those weights'
// keys again.
//
//   /   attributes schema, prompts (how many)
//   /layers/<n>/keys [n, f] f32, of each edited layer
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/matrix.hpp"
#include "io/run/run_record.hpp"

namespace anchorage::io {

inline constexpr const char* protected_keys_name = "protected.h5";

struct ProtectedLayer {
  std::int64_t layer = 0;
  Matrix keys;  // [n, f], as many of every layer
};

// Writes the file, atomically, and returns its SHA-256. Throws UserError where a key is not finite.
std::string write_protected_keys(const std::filesystem::path& path, std::int64_t prompts,
                                 std::span<const ProtectedLayer> layers);

// An open file, whose keys are read some at a time; copies share it.
class ProtectedKeys {
 public:
  // Throws UserError where the file is not of this kind.
  static ProtectedKeys open(const std::filesystem::path& path);

  std::int64_t prompts() const;
  std::int64_t count() const;  // of each layer
  std::vector<std::int64_t> layers() const;
  // Reads keys [begin, end) of a layer: [end - begin, f]. Throws UserError where one is not finite, or the file has
  // none of this layer.
  Matrix rows(std::int64_t layer, std::int64_t begin, std::int64_t end) const;

 private:
  struct Content;
  explicit ProtectedKeys(std::shared_ptr<const Content> content);
  std::shared_ptr<const Content> content_;
};

// Opens the keys that the run of this directory protects; nothing for a run that protects none. Throws UserError
// where its file is missing or is not the one that the run began with.
std::optional<ProtectedKeys> protected_keys_of(const std::filesystem::path& run, const RunRecord& record);

}  // namespace anchorage::io
