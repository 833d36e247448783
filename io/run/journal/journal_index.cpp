#include "io/run/journal/journal_index.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "io/error.hpp"
#include "io/files/appended_text.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::io {
namespace {

using Json = nlohmann::json;

const std::string schema_line = "{\"schema\":\"anchorage-journal-index/1\"}\n";
const std::string seal_begin = "anchorage sha256 ";
constexpr std::size_t write_size = std::size_t{1} << 20;  // bytes

std::string index_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

template <class Enum>
Enum named(const Json& name, std::initializer_list<Enum> values) {
  for (const Enum value : values) {
    if (name_of(value) == name.get_ref<const std::string&>()) return value;
  }
  throw InternalError("a name in a journal's index: " + name.dump());
}

// Arrays, since names would take more room than what they name.
std::string header_line(const IndexedSegment& segment, bool has_anchors) {
  const SegmentHeader& header = segment.header;
  return index_line(
      Json::array({segment.seal.bytes, segment.seal.digest, segment.digest, name_of(header.kind), header.batch,
                   header.previous, header.utc, header.version, header.world, header.seed,
                   header.rollback_to ? Json(*header.rollback_to) : Json(), has_anchors}));
}

constexpr std::size_t place_of_anchors = 11;

IndexedSegment header_in(std::string_view line) {
  const Json json = Json::parse(line);
  IndexedSegment segment{.seal = {.bytes = json.at(0), .digest = json.at(1)}, .digest = json.at(2), .header = {}};
  segment.header = {.kind = named(json.at(3), {SegmentKind::base, SegmentKind::batch, SegmentKind::removal,
                                               SegmentKind::rollback}),
                    .batch = json.at(4),
                    .previous = json.at(5),
                    .utc = json.at(6),
                    .version = json.at(7),
                    .world = json.at(8),
                    .seed = json.at(9)};
  if (!json.at(10).is_null()) segment.header.rollback_to = json.at(10).get<std::int64_t>();
  return segment;
}

std::string content_line(const SegmentSummary& summary) {
  Json content = Json::array({Json::array(), Json::array()});
  for (const EditSummary& one : summary.edits) {
    content[0].push_back(Json::array(
        {one.edit.id, one.edit.subject, one.edit.prompt, one.edit.target, name_of(one.state), one.reason}));
  }
  for (const RecordedPlace& place : summary.removed)
    content[1].push_back(Json::array({place.id, place.segment, place.edit}));
  return index_line(content);
}

SegmentSummary content_in(std::string_view line) {
  const Json content = Json::parse(line);
  SegmentSummary summary;
  for (const Json& one : content.at(0)) {
    summary.edits.push_back(
        {.edit = {.id = one.at(0), .subject = one.at(1), .prompt = one.at(2), .target = one.at(3)},
         .state = named(one.at(4), {EditState::committed, EditState::set_aside}),
         .reason = one.at(5)});
  }
  for (const Json& one : content.at(1))
    summary.removed.push_back({.id = one.at(0), .segment = one.at(1), .edit = one.at(2)});
  return summary;
}

// Takes a line, with its line feed, off the text; nothing where the rest has no line feed.
std::optional<std::string_view> take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == text.npos) return std::nullopt;
  const std::string_view line = text.substr(0, end + 1);
  text.remove_prefix(end + 1);
  return line;
}

}  // namespace

JournalIndex::JournalIndex(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code error;
  if (!std::filesystem::exists(path_, error)) return;
  file_.emplace(path_);
  read();
}

// Takes block after block, up to the first whose seal is missing or does not hold.
void JournalIndex::read() {
  std::string_view text = text_of(file_->bytes()), unsealed = text;
  const bool known = text.starts_with(schema_line);
  if (known) text.remove_prefix(schema_line.size());
  std::vector<std::string_view> lines;
  Sha256 digest;
  while (known && !text.empty()) {
    const auto line = take_line(text);
    if (!line) break;
    if (!line->starts_with(seal_begin)) {
      lines.push_back(*line);
      continue;
    }
    const auto size = static_cast<std::size_t>(line->data() - unsealed.data());
    digest.update(unsealed.substr(0, size));
    if (*line != seal_line(digest.hex()) || lines.size() % 2 != 0) break;
    digest.update(*line);
    for (std::size_t i = 0; i < lines.size(); i += 2) segments_.push_back({lines[i], lines[i + 1]});
    lines.clear();
    unsealed = text;
  }
  saved_ = segments_.size();
  digest_ = std::move(digest);
  must_replace_ = !known || !unsealed.empty();
  if (!known) diagnostic_ = "it is none that this version knows; all segments are read instead";
  if (known && must_replace_)
    diagnostic_ = fmt::format("it is cut off or altered; segments from {} on are read instead", saved_);
}

IndexedSegment JournalIndex::segment(std::int64_t number) const {
  return header_in(segments_.at(static_cast<std::size_t>(number)).header);
}

SegmentSummary JournalIndex::summary(std::int64_t number) const {
  SegmentSummary summary = content_in(segments_.at(static_cast<std::size_t>(number)).content);
  summary.has_anchors = has_anchors(number);
  return summary;
}

bool JournalIndex::has_anchors(std::int64_t number) const {
  return Json::parse(segments_.at(static_cast<std::size_t>(number)).header).at(place_of_anchors).get<bool>();
}

void JournalIndex::keep(std::int64_t count, const std::string& reason) {
  segments_.resize(static_cast<std::size_t>(count));
  saved_ = std::min(saved_, segments_.size());
  must_replace_ = true;
  diagnostic_ = fmt::format("{}; segments from {} on are read instead", reason, count);
}

void JournalIndex::add(const IndexedSegment& segment, const SegmentSummary& summary) {
  check(segment.header.batch == size(), "a segment that is not the index's next");
  std::string& header =
      *added_.emplace_back(std::make_unique<std::string>(header_line(segment, summary.has_anchors)));
  std::string& content = *added_.emplace_back(std::make_unique<std::string>(content_line(summary)));
  segments_.push_back({header, content});
}

void JournalIndex::save() {
  if (!must_replace_ && saved_ == segments_.size()) return;
  if (must_replace_) return replace_file();
  std::string block;
  for (std::size_t i = saved_; i < segments_.size(); ++i) {
    block += segments_[i].header;
    block += segments_[i].content;
  }
  must_replace_ = true;  // until the block is whole
  digest_.update(block);
  const std::string seal = seal_line(digest_.hex());
  digest_.update(seal);
  append_durably(path_, block + seal);
  must_replace_ = false;
  saved_ = segments_.size();
}

void JournalIndex::replace_file() {
  Sha256 digest;
  AtomicFile file(path_);
  std::string block = schema_line;
  const auto write = [&] {
    digest.update(block);
    file.write(block);
    block.clear();
  };
  for (const Lines& lines : segments_) {
    block += lines.header;
    block += lines.content;
    if (block.size() > write_size) write();
  }
  write();
  block = seal_line(digest.hex());
  write();
  file.commit();
  digest_ = std::move(digest);
  must_replace_ = false;
  saved_ = segments_.size();
}

}  // namespace anchorage::io
