#include "io/run/protected_keys.hpp"

#include <array>
#include <utility>

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/files/digest.hpp"
#include "io/hdf5/file.hpp"
#include "io/layer_numbers.hpp"
#include "io/model/finite_values.hpp"

namespace anchorage::io {
namespace {

using hdf5::Group;

const std::string protected_keys_schema = "anchorage-protected/1";
const std::string put_back = "put the file back from a copy: the run cannot continue without it";

void require_finite_keys(const Matrix& keys, std::int64_t layer, const std::filesystem::path& path,
                         const std::string& remedy) {
  require_finite(keys.values, std::array{keys.rows, keys.columns}, fmt::format("protected keys of layer {}", layer),
                 path.string(), remedy);
}

}  // namespace

std::string write_protected_keys(const std::filesystem::path& path, std::int64_t prompts,
                                 std::span<const ProtectedLayer> layers) {
  check(!layers.empty(), "protected keys of a layer");
  hdf5::NewFile content(path);
  content.root().set_attribute("schema", protected_keys_schema);
  content.root().set_attribute("prompts", prompts);
  Group all = content.root().create_group("layers");
  for (const ProtectedLayer& one : layers) {
    check(one.keys.rows == layers.front().keys.rows, "as many protected keys of every layer");
    require_finite_keys(one.keys, one.layer, path, "check the model: its states overflow on these prompts");
    all.create_group(std::to_string(one.layer)).write("keys", one.keys);
  }
  const auto bytes = content.bytes();
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
  return sha256_hex(bytes);
}

struct ProtectedKeys::Content {
  std::string name;
  Group root;
  std::vector<std::int64_t> layers;
  std::int64_t prompts = 0, keys = 0, width = 0;
};

ProtectedKeys::ProtectedKeys(std::shared_ptr<const Content> content) : content_(std::move(content)) {}

ProtectedKeys ProtectedKeys::open(const std::filesystem::path& path) {
  const Group root = hdf5::File::open(path).root();
  const std::string found = root.has_attribute("schema") ? root.text_attribute("schema") : "none";
  if (found != protected_keys_schema) {
    throw UserError({.expected = "protected keys of a run (schema " + protected_keys_schema + ")",
                     .found = "schema " + found,
                     .where = path.string(),
                     .remedy = put_back});
  }
  auto layers = layer_numbers(root.group("layers"), path.string());
  if (layers.empty()) {
    throw UserError({.expected = "protected keys of the edited layers",
                     .found = "those of no layer",
                     .where = path.string(),
                     .remedy = put_back});
  }
  const auto shape = root.group("layers").group(std::to_string(layers.front())).shape("keys");
  return ProtectedKeys(std::make_shared<const Content>(Content{.name = path.string(),
                                                               .root = root,
                                                               .layers = std::move(layers),
                                                               .prompts = root.integer_attribute("prompts"),
                                                               .keys = shape.front(),
                                                               .width = shape.back()}));
}

std::int64_t ProtectedKeys::prompts() const {
  return content_->prompts;
}
std::int64_t ProtectedKeys::count() const {
  return content_->keys;
}
std::vector<std::int64_t> ProtectedKeys::layers() const {
  return content_->layers;
}

Matrix ProtectedKeys::rows(std::int64_t layer, std::int64_t begin, std::int64_t end) const {
  const Group group = content_->root.group("layers").group(std::to_string(layer));
  Matrix keys = group.read_rows("keys", begin, end, content_->width);
  require_finite_keys(keys, layer, content_->name, put_back);
  return keys;
}

std::optional<ProtectedKeys> protected_keys_of(const std::filesystem::path& run, const RunRecord& record) {
  if (!record.protection) return std::nullopt;
  const auto path = run / protected_keys_name;
  const std::string& begun = record.protection->keys;
  const Diagnostic diagnostic{
      .expected = fmt::format("the protected keys that the run began with, {:.12}...", begun),
      .found = "no such file",
      .where = path.string(),
      .remedy = put_back};
  if (!std::filesystem::exists(path)) throw UserError(diagnostic);
  const std::string found = sha256_of_file(path);
  if (found == begun) return ProtectedKeys::open(path);
  Diagnostic other = diagnostic;
  other.found = fmt::format("{:.12}...", found);
  throw UserError(other);
}

}  // namespace anchorage::io
