// A segment: the record of one committed batch, removal or rollback, or of the base weights that a run started
// from. One HDF5 file, written once (docs/formats.md, "A batch segment").
//
//   /                      attributes schema, kind, batch, previous, utc, version, world, seed; of a rollback also
//                          rollback_to
//   /edits                 id, request, state, reason (text); nll_before, nll_after f64; match_before, match_after
//                          u8; [edits]
//   /layers/<n>            keys [edits, f] f32; residuals/{offsets i64 [edits + 1], indices i32, values f32};
//                          update with attribute kind, "low_rank": u [d, rank] f32, v [f, rank] f32, edits i32
//                          [rank]
//   /anchors/<n>           offsets, indices, scores as above; rolling f64 [d]; attributes kept, entered, left
//   /norms                 layers i64, update f64, total f64, base f64; [layers]
//   /guard                 probes (text), before f64, after f64; pending i64; attribute decision
//   /removal               (where edits are removed) ids (text), segments i64, edits i32; [removed]
//   /removal/layers/<n>    keys [removed, f] f32, u [d, removed] f32, v [f, removed] f32; attributes kind as above;
//                          update, total, base: the norms
//   /base                  (the base segment alone) attributes model, tokenizer, statistics, hparams; layers i64,
//                          weights (text), rows i64, columns i64, norms f64; [layers]
//
// The file ends with a line after the HDF5 content, "anchorage sha256 <64 digits>\n", the digest of all bytes
// before it. It reveals any flipped byte, also in the last segment and in what HDF5's checksums do not cover.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/matrix.hpp"

namespace anchorage::io {

enum class SegmentKind { base, batch, removal, rollback };
enum class EditState { committed, set_aside };

// How a change of a weight is recorded. Low rank: W <- W + u v^T. A version refuses by name a kind that it
// does not know.
enum class UpdateKind { low_rank };

// Stands for a number that was not measured; a NaN, so it compares unequal to itself.
inline constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();

struct EditRecord {
  std::string id;
  std::string request;  // the edit as JSON text
  EditState state = EditState::committed;
  std::string reason;                // why it was set aside
  double nll_before = not_measured;  // mean over the target's tokens, natural logarithm
  double nll_after = not_measured;
  bool match_before = false;  // every token of the target is the argmax
  bool match_after = false;

  bool operator==(const EditRecord&) const = default;
};

// One sparse row per edit (CSR): row i holds indices[offsets[i] .. offsets[i + 1]) and the values at the same
// places.
struct SparseRows {
  std::vector<std::int64_t> offsets{0};  // [rows + 1]
  std::vector<std::int32_t> indices;     // ascending in a row
  std::vector<float> values;

  bool operator==(const SparseRows&) const = default;
};

// Frobenius norms.
struct LayerNorms {
  double update = 0;  // of this segment's change
  double total = 0;   // of the whole change since the base weight
  double base = 0;    // of the base weight

  double drift() const { return total / base; }
  bool operator==(const LayerNorms&) const = default;
};

// What the segment did to one edited weight W [d, f]:  W <- W + u v^T.
struct LayerRecord {
  std::int64_t layer = 0;
  UpdateKind kind = UpdateKind::low_rank;
  Matrix keys;                               // [edits, f]; the row of an edit that was set aside is 0
  SparseRows residuals;                      // one row per edit, over d
  Matrix u;                                  // [d, rank]
  Matrix v;                                  // [f, rank]
  std::vector<std::int32_t> edit_of_column;  // [rank]: the edit whose key makes this column of u and v
  LayerNorms norms;

  bool operator==(const LayerRecord&) const = default;
};

// Where the journal records an edit.
struct RecordedPlace {
  std::string id;
  std::int64_t segment = 0;
  std::int32_t edit = 0;  // its row among the segment's edits

  bool operator==(const RecordedPlace&) const = default;
};

// What removing edits did to one edited weight: W <- W + u v^T.
struct RemovedLayer {
  std::int64_t layer = 0;
  UpdateKind kind = UpdateKind::low_rank;
  Matrix keys;  // [removed, f], from the edits' own segments
  Matrix u;     // [d, removed]
  Matrix v;     // [f, removed]
  LayerNorms norms;

  bool operator==(const RemovedLayer&) const = default;
};

// The edits that a segment removes: all that a removal does, and what a batch does first where its edits
// supersede earlier ones.
struct RemovalRecord {
  std::vector<RecordedPlace> edits;
  std::vector<RemovedLayer> layers;  // ascending by layer

  bool operator==(const RemovalRecord&) const = default;
};

struct AnchorRecord {
  std::int64_t layer = 0;
  SparseRows chosen;            // one row per edit: dimensions and their scores
  std::vector<double> rolling;  // [d], after the batch
  std::int64_t kept = 0;
  std::int64_t entered = 0;
  std::int64_t left = 0;

  bool operator==(const AnchorRecord&) const = default;
};

struct ProbeRecord {
  std::string name;
  double before = not_measured;
  double after = not_measured;

  bool operator==(const ProbeRecord&) const = default;
};

struct GuardRecord {
  std::vector<ProbeRecord> probes;
  std::string decision;
  std::vector<std::int64_t> pending{};  // edits in each part still to come of a batch that was split

  bool operator==(const GuardRecord&) const = default;
};

struct BaseLayer {
  std::int64_t layer = 0;
  std::string weight;  // the tensor's name in the model's files
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  double norm = 0;

  bool operator==(const BaseLayer&) const = default;
};

// What a run starts from. Fingerprints are digests, the same as in run.yaml.
struct BaseRecord {
  std::string model;
  std::string tokenizer;
  std::string statistics;
  std::string hparams;  // YAML text
  std::vector<BaseLayer> layers;

  bool operator==(const BaseRecord&) const = default;
};

struct SegmentHeader {
  SegmentKind kind = SegmentKind::batch;
  std::int64_t batch = 0;  // the segment's number in the journal; the base is 0
  std::string previous;    // SHA-256 of the preceding file; empty for the base. Journal::append fills it in
  std::string utc;         // time of writing, ISO 8601
  std::string version;     // of the program that wrote it
  std::int64_t world = 1;  // ranks
  std::int64_t seed = 0;
  std::optional<std::int64_t> rollback_to{};  // rollbacks only: the segment whose state it restores

  bool operator==(const SegmentHeader&) const = default;
};

struct BatchSegment {
  SegmentHeader header;
  std::vector<EditRecord> edits;
  std::vector<LayerRecord> layers;    // ascending by layer
  std::vector<AnchorRecord> anchors;  // ascending by layer; empty for methods without anchors
  GuardRecord guard;
  RemovalRecord removal;           // applies before the segment's own updates; empty where nothing is removed
  std::optional<BaseRecord> base;  // present only for SegmentKind::base

  bool operator==(const BatchSegment&) const = default;
};

std::string name_of(SegmentKind kind);
std::string name_of(EditState state);
std::string name_of(UpdateKind kind);

// "seg-00000012.h5"
std::string segment_file_name(std::int64_t batch);

// Commits the segment as <directory>/seg-<batch>.h5 and returns its SHA-256. InternalError where that number exists
// or the segment's parts do not fit each other (rows of keys and edits, columns of u and v); UserError where
// a number other than scores and probes is not finite; SystemError when the disk refuses. An error leaves
// nothing on the disk.
std::string write_segment(const std::filesystem::path& directory, const BatchSegment& segment);

// Checks the digest in the last line, then reads everything.
BatchSegment read_segment(const std::filesystem::path& path);

// Returns the SHA-256 of the whole file; throws UserError unless its last line gives the digest of the bytes
// before it.
std::string verify_segment(const std::filesystem::path& path);

// Reads a segment in parts. Relies on HDF5's checksums of what it reads; `verify_segment` and Journal::open
// check the whole file.
class SegmentReader {
 public:
  explicit SegmentReader(const std::filesystem::path& path);
  ~SegmentReader();
  SegmentReader(SegmentReader&&) noexcept;
  SegmentReader& operator=(SegmentReader&&) noexcept;

  const SegmentHeader& header() const;
  std::vector<EditRecord> edits() const;
  std::vector<std::int64_t> layers() const;         // ascending
  LayerRecord layer(std::int64_t layer) const;      // all of it
  LayerRecord update(std::int64_t layer) const;     // only u, v, edit_of_column and norms
  std::vector<LayerNorms> norms() const;            // in the order of layers()
  std::vector<std::int64_t> anchor_layers() const;  // empty for methods without anchors
  AnchorRecord anchors(std::int64_t layer) const;
  GuardRecord guard() const;
  std::vector<RecordedPlace> removed() const;        // only the edits of removal()
  std::vector<std::int64_t> removed_layers() const;  // ascending; empty where nothing is removed
  RemovedLayer removed_layer(std::int64_t layer) const;
  RemovalRecord removal() const;
  std::optional<BaseRecord> base() const;

 private:
  struct Content;
  std::unique_ptr<Content> content_;
};

}  // namespace anchorage::io
