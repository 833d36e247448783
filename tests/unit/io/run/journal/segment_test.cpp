#include "io/run/journal/segment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "io/error.hpp"
#include "io/files/digest.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/places.hpp"
#include "tests/support/sample_segment.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using tests::sample_base;
using tests::sample_batch;
using tests::sample_removal;
using tests::sample_rollback;

using tests::message_of;

TEST(Segment, OfABatchIsReadBackAsItWasWritten) {
  const tests::TemporaryDirectory directory;
  write_segment(directory.path(), sample_batch(3));
  EXPECT_EQ(read_segment(directory.path() / "seg-00000003.h5"), sample_batch(3));
}

TEST(Segment, OfTheBaseIsReadBackAsItWasWritten) {
  const tests::TemporaryDirectory directory;
  write_segment(directory.path(), sample_base());
  EXPECT_EQ(read_segment(directory.path() / "seg-00000000.h5"), sample_base());
}

TEST(Segment, WithoutEditsOrAnchorsIsReadBackAsItWasWritten) {
  const tests::TemporaryDirectory directory;
  BatchSegment segment = sample_batch(1);
  segment.edits.clear();
  segment.anchors.clear();
  segment.guard = {};
  for (LayerRecord& layer : segment.layers) {
    layer.keys = {.rows = 0, .columns = 6, .values = {}};
    layer.residuals = {};
    layer.u = {.rows = 4, .columns = 0, .values = {}};
    layer.v = {.rows = 6, .columns = 0, .values = {}};
    layer.edit_of_column.clear();
  }
  write_segment(directory.path(), segment);
  EXPECT_EQ(read_segment(directory.path() / "seg-00000001.h5"), segment);
}

TEST(Segment, OfARemovalIsReadBackAsItWasWritten) {
  const tests::TemporaryDirectory directory;
  write_segment(directory.path(), sample_removal(2));
  EXPECT_EQ(read_segment(directory.path() / "seg-00000002.h5"), sample_removal(2));
}

TEST(Segment, OfARemovalIsReadLayerByLayer) {
  const tests::TemporaryDirectory directory;
  write_segment(directory.path(), sample_removal(2));
  const SegmentReader reader(directory.path() / "seg-00000002.h5");
  EXPECT_THAT(reader.removed_layers(), ElementsAre(4, 10));
  EXPECT_EQ(reader.removed_layer(10), sample_removal(2).removal.layers[1]);
  write_segment(directory.path(), sample_batch(3));
  EXPECT_THAT(SegmentReader(directory.path() / "seg-00000003.h5").removed_layers(), IsEmpty());
}

TEST(Segment, OfABatchThatSupersedesIsReadBackAsItWasWritten) {
  const tests::TemporaryDirectory directory;
  BatchSegment segment = sample_batch(2);
  segment.removal = sample_removal(2).removal;
  write_segment(directory.path(), segment);
  EXPECT_EQ(read_segment(directory.path() / "seg-00000002.h5"), segment);
}

TEST(Segment, OfARollbackIsReadBackAsItWasWritten) {
  const tests::TemporaryDirectory directory;
  write_segment(directory.path(), sample_rollback(4, 2));
  const BatchSegment read = read_segment(directory.path() / "seg-00000004.h5");
  EXPECT_EQ(read, sample_rollback(4, 2));
  EXPECT_EQ(read.header.rollback_to, 2);
}

TEST(Segment, RefusesARemovalOrARollbackThatDoesNotFitTogether) {
  const tests::TemporaryDirectory directory;
  const auto diagnostic = [&](const BatchSegment& segment) {
    return message_of<InternalError>([&] { write_segment(directory.path(), segment); });
  };
  BatchSegment removal = sample_removal(2);
  removal.removal.edits[0].segment = 2;
  EXPECT_THAT(diagnostic(removal), HasSubstr("a removed edit at row 0 of segment 2"));
  removal = sample_removal(2);
  removal.removal.edits.push_back(removal.removal.edits[0]);
  EXPECT_THAT(diagnostic(removal), HasSubstr("for 2 removed edits"));
  removal = sample_removal(2);
  removal.removal = {};
  EXPECT_THAT(diagnostic(removal), HasSubstr("removes nothing"));
  EXPECT_THAT(diagnostic(sample_rollback(2, 2)), HasSubstr("a rollback to segment 2"));
  BatchSegment rollback = sample_rollback(2, 1);
  rollback.header.rollback_to.reset();
  EXPECT_THAT(diagnostic(rollback), HasSubstr("a rollback without it"));
}

TEST(Segment, KeepsWhatWasNotMeasuredAsNaN) {
  const tests::TemporaryDirectory directory;
  BatchSegment segment = sample_batch(1);
  segment.edits[1].nll_after = not_measured;
  write_segment(directory.path(), segment);
  EXPECT_TRUE(std::isnan(read_segment(directory.path() / "seg-00000001.h5").edits[1].nll_after));
}

TEST(Segment, IsReadInParts) {
  const tests::TemporaryDirectory directory;
  const BatchSegment segment = sample_batch(1);
  write_segment(directory.path(), segment);
  const SegmentReader reader(directory.path() / "seg-00000001.h5");
  EXPECT_EQ(reader.header(), segment.header);
  EXPECT_EQ(reader.edits(), segment.edits);
  EXPECT_THAT(reader.layers(), ElementsAre(4, 10));  // by number, not by name
  EXPECT_THAT(reader.norms(), ElementsAre(segment.layers[0].norms, segment.layers[1].norms));
  LayerRecord update = segment.layers[1];
  update.keys = {};
  update.residuals = {};
  EXPECT_EQ(reader.update(10), update);
  EXPECT_EQ(reader.layer(4), segment.layers[0]);
  EXPECT_EQ(reader.anchors(10), segment.anchors[1]);
  EXPECT_EQ(reader.base(), std::nullopt);
  EXPECT_THAT(message_of([&] { reader.update(5); }), HasSubstr("seg-00000001.h5:/layers/5"));
}

TEST(Segment, ReturnsTheDigestOfItsFile) {
  const tests::TemporaryDirectory directory;
  const std::string digest = write_segment(directory.path(), sample_batch(1));
  EXPECT_EQ(digest, sha256_of_file(directory.path() / "seg-00000001.h5"));
  EXPECT_EQ(digest, verify_segment(directory.path() / "seg-00000001.h5"));
}

TEST(Segment, IsNeverWrittenAgain) {
  const tests::TemporaryDirectory directory;
  write_segment(directory.path(), sample_batch(1));
  EXPECT_THROW(write_segment(directory.path(), sample_batch(1)), InternalError);
}

TEST(Segment, WhosePartsDoNotFitIsNotWritten) {
  const tests::TemporaryDirectory directory;
  const auto refusal = [&](auto spoil) {
    BatchSegment segment = sample_batch(1);
    spoil(segment);
    return message_of<InternalError>([&] { write_segment(directory.path(), segment); });
  };
  EXPECT_THAT(refusal([](BatchSegment& s) { s.edits.pop_back(); }), HasSubstr("2 keys for 1 edits"));
  EXPECT_THAT(refusal([](BatchSegment& s) { s.layers[0].u.values.pop_back(); }), HasSubstr("do not fill it"));
  EXPECT_THAT(refusal([](BatchSegment& s) {
                s.layers[0].edit_of_column = {0, 0, 2};
              }),
              HasSubstr("layer 4: a column"));
  EXPECT_THAT(refusal([](BatchSegment& s) { s.layers[0].edit_of_column = {0}; }), HasSubstr("u with 3 columns"));
  EXPECT_THAT(refusal([](BatchSegment& s) { s.layers[1].residuals.indices.pop_back(); }),
              HasSubstr("layer 10: 1 indices"));
  EXPECT_THAT(refusal([](BatchSegment& s) {
                s.anchors[1].chosen.offsets = {0, 3, 1};
              }),
              HasSubstr("do not ascend"));
  EXPECT_THAT(refusal([](BatchSegment& s) { std::swap(s.layers[0], s.layers[1]); }),
              HasSubstr("layers that do not ascend"));
  EXPECT_THAT(refusal([](BatchSegment& s) { s.header.kind = SegmentKind::base; }), HasSubstr("base"));
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(Segment, WithAnyByteFlippedIsRefusedByName) {
  const tests::TemporaryDirectory directory;
  write_segment(directory.path(), sample_batch(1));
  const auto path = directory.path() / "seg-00000001.h5";
  const std::string content = tests::content_of(path);
  for (std::size_t place = 0; place < content.size(); place += place < content.size() - 100 ? 997 : 1) {
    std::string altered = content;
    altered[place] = static_cast<char>(altered[place] ^ 0x10);
    directory.write("seg-00000001.h5", altered);
    const std::string message = message_of([&] { read_segment(path); });
    ASSERT_THAT(message, HasSubstr(path.string())) << "byte " << place;
    ASSERT_THAT(message, HasSubstr("; put back the file from a copy")) << "byte " << place;
  }
}

TEST(Segment, CutOffAnywhereIsRefusedByName) {
  const tests::TemporaryDirectory directory;
  write_segment(directory.path(), sample_batch(1));
  const auto path = directory.path() / "seg-00000001.h5";
  const std::uintmax_t size = std::filesystem::file_size(path);
  for (const std::uintmax_t left : {size - 1, size - 82, size / 2, std::uintmax_t{10}, std::uintmax_t{0}}) {
    std::filesystem::resize_file(path, left);
    EXPECT_THAT(message_of([&] { read_segment(path); }), HasSubstr("in " + path.string())) << left;
  }
}

// tests/golden/hdf5_interop.py reads the sample with h5py, by formats.md alone.
TEST(Segment, IsReadByH5pyAsTheFormatSays) {
  const tests::TemporaryDirectory directory;
  write_segment(directory.path(), sample_batch(1));
  write_segment(directory.path(), sample_base());
  const std::string command = tests::python_path() + " " + tests::source_path() +
                              "/tests/golden/hdf5_interop.py check-segments '" + directory.path().string() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

// Of a later version, say.
TEST(Segment, WithAnUpdateOfAnUnknownKindIsRefusedByItsName) {
  const tests::TemporaryDirectory directory;
  BatchSegment segment = sample_batch(2);
  segment.removal = sample_removal(2).removal;
  write_segment(directory.path(), segment);
  const auto path = directory.path() / "seg-00000002.h5";
  const std::string command = tests::python_path() + " " + tests::source_path() +
                              "/tests/golden/hdf5_interop.py make-dense '" + path.string() + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  const SegmentReader reader(path);
  for (const std::string& message :
       {message_of([&] { reader.update(4); }), message_of([&] { reader.removed_layer(4); })}) {
    EXPECT_THAT(message, HasSubstr("expected an update of a known kind, low_rank, found 'dense'"));
    EXPECT_THAT(message, HasSubstr("use the version of anchorage that wrote it"));
  }
  EXPECT_NO_THROW(reader.update(10));
}

TEST(Segment, OnAFullDiskLeavesNothingBehindAndCanBeWrittenLater) {
  const tests::SmallDisk disk("1M");
  if (!disk.refusal().empty()) GTEST_SKIP() << disk.refusal();
  // Full at every stage: in the first dataset, in the middle, in the last bytes.
  for (const std::uintmax_t room : {4096, 20000, 40000, 200000}) {
    disk.fill_up_to(room);
    const std::string message =
        message_of<SystemError>([&] { write_segment(disk.path(), sample_batch(1, 20000)); });
    EXPECT_THAT(message, HasSubstr("No space left on device, in " + (disk.path() / "seg-00000001.h5").string()));
    disk.make_room();
    EXPECT_TRUE(std::filesystem::is_empty(disk.path()));
  }
  write_segment(disk.path(), sample_batch(1, 4000));
  EXPECT_EQ(read_segment(disk.path() / "seg-00000001.h5"), sample_batch(1, 4000));
}

// Scores of prompts and probes may be unknown; everything that goes into weights may not.
TEST(Segment, WithANumberThatIsNotFiniteIsNotWritten) {
  const tests::TemporaryDirectory directory;
  const auto refusal = [&](BatchSegment segment, const auto& change) {
    change(segment);
    return message_of([&] { write_segment(directory.path(), segment); });
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(refusal(sample_batch(1), [&](BatchSegment& s) { s.layers[1].u.values[4] = nan; }),
              HasSubstr("expected an update's u of layer 10 of finite numbers, found nan at [1, 1], in " +
                        (directory.path() / "seg-00000001.h5").string()));
  EXPECT_THAT(refusal(sample_batch(1), [&](BatchSegment& s) { s.layers[0].keys.values[0] = nan; }),
              HasSubstr("keys of layer 4"));
  EXPECT_THAT(refusal(sample_batch(1), [&](BatchSegment& s) { s.layers[0].residuals.values[0] = nan; }),
              HasSubstr("residuals of layer 4"));
  EXPECT_THAT(refusal(sample_batch(1), [](BatchSegment& s) { s.layers[0].norms.total = HUGE_VAL; }),
              HasSubstr("norms of layer 4 of finite numbers, found inf at [1]"));
  EXPECT_THAT(refusal(sample_batch(1), [](BatchSegment& s) { s.anchors[0].rolling[3] = HUGE_VAL; }),
              HasSubstr("rolling anchor scores of layer 4"));
  EXPECT_THAT(refusal(sample_removal(2), [&](BatchSegment& s) { s.removal.layers[0].v.values[0] = nan; }),
              HasSubstr("a removal's v"));
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

}  // namespace
}  // namespace anchorage::io
