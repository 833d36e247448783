#include "io/model/model_directory.hpp"

#include <fmt/ranges.h>

#include <utility>

#include "io/error.hpp"
#include "io/files/digest.hpp"
#include "io/files/mapped_file.hpp"
#include "io/tokenizer/tokenizer_file.hpp"

namespace anchorage::io {
namespace {

namespace fs = std::filesystem;

constexpr const char* config_name = "config.json";

fs::path file_in(const fs::path& directory, const char* name) {
  if (fs::exists(directory / name)) return directory / name;
  throw UserError({.expected = fmt::format("the file {}", name),
                   .found = "none",
                   .where = directory.string(),
                   .remedy = "give a Hugging Face model directory with all its files"});
}

}  // namespace

ModelDirectory ModelDirectory::open(const fs::path& path) {
  if (!fs::is_directory(path)) {
    throw UserError({.expected = "a model directory",
                     .found = fs::exists(path) ? "a file" : "nothing",
                     .where = path.string(),
                     .remedy = "give the path of a Hugging Face model directory"});
  }
  return {path, read_model_config(file_in(path, config_name)), WeightFiles::open(path)};
}

ModelDirectory::ModelDirectory(fs::path path, ModelConfig config, WeightFiles weights)
    : path_(std::move(path)), config_(std::move(config)), weights_(std::move(weights)) {}

fs::path ModelDirectory::tokenizer() const {
  return tokenizer_file(path_);
}

std::string ModelDirectory::fingerprint() const {
  Sha256 digest;
  digest.update(MappedFile(path_ / config_name).bytes());
  for (const std::string& name : weights_.names()) {
    const StoredTensor& tensor = weights_.stored(name);
    // Zero bytes separate parts of variable length; no name of a tensor or dtype contains one.
    const std::string heading =
        fmt::format("{0}{1}{0}{2}{0}[{3}]{0}", '\0', name, tensor.dtype, fmt::join(tensor.shape, ","));
    digest.update(std::as_bytes(std::span(heading)));
    digest.update(tensor.bytes);
  }
  return digest.hex();
}

}  // namespace anchorage::io
