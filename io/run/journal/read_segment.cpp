#include <algorithm>

#include "io/error.hpp"
#include "io/hdf5/file.hpp"
#include "io/layer_numbers.hpp"
#include "io/run/journal/layout.hpp"

namespace anchorage::io {
namespace {

using hdf5::any;
using hdf5::Group;

[[noreturn]] void refuse_segment(const std::string& expected, const std::string& found, const std::string& where) {
  throw UserError({.expected = expected,
                   .found = found,
                   .where = where,
                   .remedy = "use the version of anchorage that wrote it, or take the file from a copy"});
}

// Returns the enumerator among `values` that has this name.
template <class Enum>
Enum from_name(const std::string& name, std::initializer_list<Enum> values, const std::string& where) {
  for (const Enum value : values) {
    if (name_of(value) == name) return value;
  }
  refuse_segment("a kind of segment or a state of an edit", "'" + name + "'", where);
}

// Segments of the earlier schema have only low-rank updates and no attribute that says so.
UpdateKind kind_of_update(const Group& update, const std::string& where) {
  if (!update.has_attribute("kind")) return UpdateKind::low_rank;
  const std::string kind = update.text_attribute("kind");
  if (kind != name_of(UpdateKind::low_rank))
    refuse_segment(fmt::format("an update of a known kind, {}", name_of(UpdateKind::low_rank)), "'" + kind + "'",
                   where);
  return UpdateKind::low_rank;
}

void require_sound(const SparseRows& sparse, std::size_t rows, const std::string& where) {
  const std::string diagnostic = layout::diagnostic_of(sparse, rows);
  if (!diagnostic.empty()) refuse_segment("sparse rows that fit together", diagnostic, where);
}

SparseRows read_sparse(const Group& group, const std::string& values) {
  return {.offsets = group.read<std::int64_t>("offsets", {any}),
          .indices = group.read<std::int32_t>("indices", {any}),
          .values = group.read<float>(values, {any})};
}

SegmentHeader read_header(const Group& root, const std::string& where) {
  const std::string schema = root.text_attribute("schema");
  if (schema != layout::schema && schema != layout::schema_without_update_kinds)
    refuse_segment(fmt::format("schema {} or {}", layout::schema, layout::schema_without_update_kinds), schema,
                   where);
  return {.kind = from_name(root.text_attribute("kind"),
                            {SegmentKind::base, SegmentKind::batch, SegmentKind::removal, SegmentKind::rollback},
                            where),
          .batch = root.integer_attribute("batch"),
          .previous = root.text_attribute("previous"),
          .utc = root.text_attribute("utc"),
          .version = root.text_attribute("version"),
          .world = root.integer_attribute("world"),
          .seed = root.integer_attribute("seed"),
          .rollback_to = root.has_attribute("rollback_to") ? std::optional(root.integer_attribute("rollback_to"))
                                                           : std::nullopt};
}

std::vector<EditRecord> read_edit_records(const Group& group, const std::string& where) {
  const std::vector<std::string> ids = group.read_texts("id");
  const auto count = static_cast<std::int64_t>(ids.size());
  const auto requests = group.read_texts("request", count), states = group.read_texts("state", count),
             reasons = group.read_texts("reason", count);
  const auto nll_before = group.read<double>("nll_before", {count}),
             nll_after = group.read<double>("nll_after", {count});
  const auto match_before = group.read<std::uint8_t>("match_before", {count}),
             match_after = group.read<std::uint8_t>("match_after", {count});
  std::vector<EditRecord> edits;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    edits.push_back({.id = ids[i],
                     .request = requests[i],
                     .state = from_name(states[i], {EditState::committed, EditState::set_aside}, where),
                     .reason = reasons[i],
                     .nll_before = nll_before[i],
                     .nll_after = nll_after[i],
                     .match_before = match_before[i] != 0,
                     .match_after = match_after[i] != 0});
  }
  return edits;
}

BaseRecord read_base(const Group& group) {
  BaseRecord base{.model = group.text_attribute("model"),
                  .tokenizer = group.text_attribute("tokenizer"),
                  .statistics = group.text_attribute("statistics"),
                  .hparams = group.text_attribute("hparams"),
                  .layers = {}};
  const auto layers = group.read<std::int64_t>("layers", {any});
  const auto count = static_cast<std::int64_t>(layers.size());
  const auto weights = group.read_texts("weights", count);
  const auto rows = group.read<std::int64_t>("rows", {count}),
             columns = group.read<std::int64_t>("columns", {count});
  const auto norms = group.read<double>("norms", {count});
  for (std::size_t i = 0; i < layers.size(); ++i) {
    base.layers.push_back(
        {.layer = layers[i], .weight = weights[i], .rows = rows[i], .columns = columns[i], .norm = norms[i]});
  }
  return base;
}

}  // namespace

struct SegmentReader::Content {
  std::string name;
  hdf5::File file;
  SegmentHeader header;

  Group group(const std::string& part, std::int64_t layer) const {
    return file.root().group(part).group(std::to_string(layer));
  }
};

SegmentReader::SegmentReader(const std::filesystem::path& path) {
  hdf5::File file = hdf5::File::open(path);
  SegmentHeader header = read_header(file.root(), path.string());
  content_ = std::make_unique<Content>(
      Content{.name = path.string(), .file = std::move(file), .header = std::move(header)});
}
SegmentReader::~SegmentReader() = default;
SegmentReader::SegmentReader(SegmentReader&&) noexcept = default;
SegmentReader& SegmentReader::operator=(SegmentReader&&) noexcept = default;

const SegmentHeader& SegmentReader::header() const {
  return content_->header;
}

std::vector<EditRecord> SegmentReader::edits() const {
  return read_edit_records(content_->file.root().group("edits"), content_->name);
}

std::vector<std::int64_t> SegmentReader::layers() const {
  return layer_numbers(content_->file.root().group("layers"), content_->name);
}

std::vector<std::int64_t> SegmentReader::anchor_layers() const {
  return layer_numbers(content_->file.root().group("anchors"), content_->name);
}

LayerRecord SegmentReader::update(std::int64_t layer) const {
  const Group update = content_->group("layers", layer).group("update");
  LayerRecord record{.layer = layer,
                     .kind = kind_of_update(update, content_->name),
                     .keys = {},
                     .residuals = {},
                     .u = {},
                     .v = {},
                     .edit_of_column = {},
                     .norms = {}};
  record.edit_of_column = update.read<std::int32_t>("edits", {any});
  const auto rank = static_cast<std::int64_t>(record.edit_of_column.size());
  record.u = update.read_matrix("u", any, rank);
  record.v = update.read_matrix("v", any, rank);
  const std::vector<std::int64_t> numbers = layers();
  record.norms = norms().at(static_cast<std::size_t>(std::ranges::find(numbers, layer) - numbers.begin()));
  return record;
}

LayerRecord SegmentReader::layer(std::int64_t layer) const {
  LayerRecord record = update(layer);
  const Group group = content_->group("layers", layer);
  record.keys = group.read_matrix("keys", any, any);
  record.residuals = read_sparse(group.group("residuals"), "values");
  require_sound(record.residuals, record.residuals.offsets.size() - 1, content_->name);
  return record;
}

std::vector<LayerNorms> SegmentReader::norms() const {
  const Group group = content_->file.root().group("norms");
  const std::vector<std::int64_t> wanted = layers();
  const auto count = static_cast<std::int64_t>(wanted.size());
  const auto numbers = group.read<std::int64_t>("layers", {count});
  const auto update = group.read<double>("update", {count}), total = group.read<double>("total", {count}),
             base = group.read<double>("base", {count});
  std::vector<LayerNorms> norms;
  for (const std::int64_t layer : wanted) {
    const auto place = static_cast<std::size_t>(std::ranges::find(numbers, layer) - numbers.begin());
    if (place == numbers.size()) refuse_segment(fmt::format("norms of layer {}", layer), "none", content_->name);
    norms.push_back({.update = update[place], .total = total[place], .base = base[place]});
  }
  return norms;
}

AnchorRecord SegmentReader::anchors(std::int64_t layer) const {
  const Group group = content_->group("anchors", layer);
  AnchorRecord record{.layer = layer,
                      .chosen = read_sparse(group, "scores"),
                      .rolling = group.read<double>("rolling", {any}),
                      .kept = group.integer_attribute("kept"),
                      .entered = group.integer_attribute("entered"),
                      .left = group.integer_attribute("left")};
  require_sound(record.chosen, record.chosen.offsets.size() - 1, content_->name);
  return record;
}

GuardRecord SegmentReader::guard() const {
  const Group group = content_->file.root().group("guard");
  GuardRecord guard{.probes = {}, .decision = group.text_attribute("decision"), .pending = {}};
  if (group.contains("pending")) guard.pending = group.read<std::int64_t>("pending", {any});
  const std::vector<std::string> names = group.read_texts("probes");
  const auto count = static_cast<std::int64_t>(names.size());
  const auto before = group.read<double>("before", {count}), after = group.read<double>("after", {count});
  for (std::size_t i = 0; i < names.size(); ++i) {
    guard.probes.push_back({.name = names[i], .before = before[i], .after = after[i]});
  }
  return guard;
}

std::vector<RecordedPlace> SegmentReader::removed() const {
  if (!content_->file.root().contains("removal")) return {};
  const Group group = content_->file.root().group("removal");
  const auto ids = group.read_texts("ids");
  const auto count = static_cast<std::int64_t>(ids.size());
  const auto segments = group.read<std::int64_t>("segments", {count});
  const auto edits = group.read<std::int32_t>("edits", {count});
  std::vector<RecordedPlace> removed;
  for (std::size_t i = 0; i < ids.size(); ++i)
    removed.push_back({.id = ids[i], .segment = segments[i], .edit = edits[i]});
  return removed;
}

std::vector<std::int64_t> SegmentReader::removed_layers() const {
  if (removed().empty()) return {};
  return layer_numbers(content_->file.root().group("removal").group("layers"), content_->name);
}

RemovedLayer SegmentReader::removed_layer(std::int64_t layer) const {
  const auto count = std::ssize(removed());
  const Group group = content_->group("removal/layers", layer);
  return {.layer = layer,
          .kind = kind_of_update(group, content_->name),
          .keys = group.read_matrix("keys", count, any),
          .u = group.read_matrix("u", any, count),
          .v = group.read_matrix("v", any, count),
          .norms = {.update = group.real_attribute("update"),
                    .total = group.real_attribute("total"),
                    .base = group.real_attribute("base")}};
}

RemovalRecord SegmentReader::removal() const {
  RemovalRecord removal{.edits = removed(), .layers = {}};
  for (const std::int64_t layer : removed_layers()) removal.layers.push_back(removed_layer(layer));
  return removal;
}

std::optional<BaseRecord> SegmentReader::base() const {
  if (content_->header.kind != SegmentKind::base) return std::nullopt;
  return read_base(content_->file.root().group("base"));
}

BatchSegment read_segment(const std::filesystem::path& path) {
  verify_segment(path);
  const SegmentReader reader(path);
  BatchSegment segment{.header = reader.header(),
                       .edits = reader.edits(),
                       .layers = {},
                       .anchors = {},
                       .guard = reader.guard(),
                       .removal = reader.removal(),
                       .base = reader.base()};
  for (const std::int64_t layer : reader.layers()) segment.layers.push_back(reader.layer(layer));
  for (const std::int64_t layer : reader.anchor_layers()) segment.anchors.push_back(reader.anchors(layer));
  return segment;
}

}  // namespace anchorage::io
