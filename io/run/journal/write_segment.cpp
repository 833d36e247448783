#include "io/error.hpp"
#include "io/files/sealed_file.hpp"
#include "io/hdf5/file.hpp"
#include "io/model/finite_values.hpp"
#include "io/run/journal/layout.hpp"

namespace anchorage::io {
namespace {

using hdf5::Group;
using hdf5::Packing;

// Returns one field of all records as a column.
template <class T, class Record, class Field>
std::vector<T> column(const std::vector<Record>& records, Field field) {
  std::vector<T> values;
  values.reserve(records.size());
  for (const Record& record : records) values.push_back(static_cast<T>(field(record)));
  return values;
}

void write_header(Group& root, const SegmentHeader& header) {
  root.set_attribute("schema", layout::schema);
  root.set_attribute("kind", name_of(header.kind));
  root.set_attribute("batch", header.batch);
  root.set_attribute("previous", header.previous);
  root.set_attribute("utc", header.utc);
  root.set_attribute("version", header.version);
  root.set_attribute("world", header.world);
  root.set_attribute("seed", header.seed);
  if (header.rollback_to) root.set_attribute("rollback_to", *header.rollback_to);
}

void write_edits(Group group, const std::vector<EditRecord>& edits) {
  group.write("id", column<std::string>(edits, [](const EditRecord& e) { return e.id; }));
  group.write("request", column<std::string>(edits, [](const EditRecord& e) { return e.request; }));
  group.write("state", column<std::string>(edits, [](const EditRecord& e) { return name_of(e.state); }));
  group.write("reason", column<std::string>(edits, [](const EditRecord& e) { return e.reason; }));
  group.write("nll_before", column<double>(edits, [](const EditRecord& e) { return e.nll_before; }));
  group.write("nll_after", column<double>(edits, [](const EditRecord& e) { return e.nll_after; }));
  group.write("match_before", column<std::uint8_t>(edits, [](const EditRecord& e) { return e.match_before; }));
  group.write("match_after", column<std::uint8_t>(edits, [](const EditRecord& e) { return e.match_after; }));
}

void write_sparse(Group& group, const SparseRows& sparse, const std::string& values) {
  group.write("offsets", sparse.offsets, Packing::deflated);
  group.write("indices", sparse.indices, Packing::deflated);
  group.write(values, sparse.values);
}

void write_layer(Group group, const LayerRecord& layer) {
  group.write("keys", layer.keys);
  Group residuals = group.create_group("residuals");
  write_sparse(residuals, layer.residuals, "values");
  Group update = group.create_group("update");
  update.set_attribute("kind", name_of(layer.kind));
  update.write("u", layer.u);
  update.write("v", layer.v);
  update.write("edits", layer.edit_of_column);
}

void write_anchors(Group group, const AnchorRecord& anchors) {
  write_sparse(group, anchors.chosen, "scores");
  group.write("rolling", anchors.rolling);
  group.set_attribute("kept", anchors.kept);
  group.set_attribute("entered", anchors.entered);
  group.set_attribute("left", anchors.left);
}

void write_norms(Group group, const std::vector<LayerRecord>& layers) {
  group.write("layers", column<std::int64_t>(layers, [](const LayerRecord& l) { return l.layer; }));
  group.write("update", column<double>(layers, [](const LayerRecord& l) { return l.norms.update; }));
  group.write("total", column<double>(layers, [](const LayerRecord& l) { return l.norms.total; }));
  group.write("base", column<double>(layers, [](const LayerRecord& l) { return l.norms.base; }));
}

void write_guard(Group group, const GuardRecord& guard) {
  group.write("probes", column<std::string>(guard.probes, [](const ProbeRecord& p) { return p.name; }));
  group.write("before", column<double>(guard.probes, [](const ProbeRecord& p) { return p.before; }));
  group.write("after", column<double>(guard.probes, [](const ProbeRecord& p) { return p.after; }));
  group.write("pending", guard.pending);
  group.set_attribute("decision", guard.decision);
}

void write_removal(Group group, const RemovalRecord& removal) {
  group.write("ids", column<std::string>(removal.edits, [](const RecordedPlace& e) { return e.id; }));
  group.write("segments", column<std::int64_t>(removal.edits, [](const RecordedPlace& e) { return e.segment; }));
  group.write("edits", column<std::int32_t>(removal.edits, [](const RecordedPlace& e) { return e.edit; }));
  Group layers = group.create_group("layers");
  for (const RemovedLayer& layer : removal.layers) {
    Group one = layers.create_group(std::to_string(layer.layer));
    one.write("keys", layer.keys);
    one.write("u", layer.u);
    one.write("v", layer.v);
    one.set_attribute("kind", name_of(layer.kind));
    one.set_attribute("update", layer.norms.update);
    one.set_attribute("total", layer.norms.total);
    one.set_attribute("base", layer.norms.base);
  }
}

void write_base(Group group, const BaseRecord& base) {
  group.set_attribute("model", base.model);
  group.set_attribute("tokenizer", base.tokenizer);
  group.set_attribute("statistics", base.statistics);
  group.set_attribute("hparams", base.hparams);
  group.write("layers", column<std::int64_t>(base.layers, [](const BaseLayer& l) { return l.layer; }));
  group.write("weights", column<std::string>(base.layers, [](const BaseLayer& l) { return l.weight; }));
  group.write("rows", column<std::int64_t>(base.layers, [](const BaseLayer& l) { return l.rows; }));
  group.write("columns", column<std::int64_t>(base.layers, [](const BaseLayer& l) { return l.columns; }));
  group.write("norms", column<double>(base.layers, [](const BaseLayer& l) { return l.norm; }));
}

// Checks that everything added to weights, least squares and anchor scores is finite, whatever computed it.
// Scores of prompts and probes may be io::not_measured.
class FiniteNumbers {
 public:
  explicit FiniteNumbers(std::string where) : where_(std::move(where)) {}

  void require(const Matrix& matrix, const char* what, std::int64_t layer) const {
    require_finite(matrix.values, std::vector{matrix.rows, matrix.columns}, of_layer(what, layer), where_, remedy);
  }
  template <class T>
  void require(const std::vector<T>& values, const char* what, std::int64_t layer) const {
    require_finite(values, std::vector{std::ssize(values)}, of_layer(what, layer), where_, remedy);
  }
  void require(const LayerNorms& norms, std::int64_t layer) const {
    require(std::vector{norms.update, norms.total, norms.base}, "norms", layer);
  }

 private:
  static constexpr const char* remedy =
      "nothing of this batch is kept; use --dtype bf16 or fp32, or a smaller batch or step";
  static std::string of_layer(const char* what, std::int64_t layer) {
    return fmt::format("{} of layer {}", what, layer);
  }
  std::string where_;
};

void require_finite_numbers(const BatchSegment& segment, const std::filesystem::path& path) {
  const FiniteNumbers finite(path.string());
  for (const LayerRecord& layer : segment.layers) {
    finite.require(layer.keys, "keys", layer.layer);
    finite.require(layer.residuals.values, "residuals", layer.layer);
    finite.require(layer.u, "an update's u", layer.layer);
    finite.require(layer.v, "an update's v", layer.layer);
    finite.require(layer.norms, layer.layer);
  }
  for (const AnchorRecord& anchors : segment.anchors) {
    finite.require(anchors.chosen.values, "anchor scores", anchors.layer);
    finite.require(anchors.rolling, "rolling anchor scores", anchors.layer);
  }
  for (const RemovedLayer& layer : segment.removal.layers) {
    finite.require(layer.keys, "removed keys", layer.layer);
    finite.require(layer.u, "a removal's u", layer.layer);
    finite.require(layer.v, "a removal's v", layer.layer);
    finite.require(layer.norms, layer.layer);
  }
  if (!segment.base) return;
  for (const BaseLayer& layer : segment.base->layers) finite.require(std::vector{layer.norm}, "norms", layer.layer);
}

void fill(Group& root, const BatchSegment& segment) {
  write_header(root, segment.header);
  write_edits(root.create_group("edits"), segment.edits);
  Group layers = root.create_group("layers");
  for (const LayerRecord& layer : segment.layers) {
    write_layer(layers.create_group(std::to_string(layer.layer)), layer);
  }
  Group anchors = root.create_group("anchors");
  for (const AnchorRecord& record : segment.anchors) {
    write_anchors(anchors.create_group(std::to_string(record.layer)), record);
  }
  write_norms(root.create_group("norms"), segment.layers);
  write_guard(root.create_group("guard"), segment.guard);
  if (!segment.removal.edits.empty()) write_removal(root.create_group("removal"), segment.removal);
  if (segment.base) write_base(root.create_group("base"), *segment.base);
}

}  // namespace

std::string write_segment(const std::filesystem::path& directory, const BatchSegment& segment) {
  const std::string diagnostic = layout::diagnostic_of(segment);
  check(diagnostic.empty(), "a segment that does not fit together: " + diagnostic);
  const std::filesystem::path path = directory / segment_file_name(segment.header.batch);
  require_finite_numbers(segment, path);

  hdf5::NewFile content(path);
  fill(content.root(), segment);
  return write_sealed(path, content.bytes(), IfExists::refuse);
}

}  // namespace anchorage::io
