#include "io/run/checkpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "io/error.hpp"
#include "io/files/sealed_file.hpp"
#include "io/hdf5/file.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/sample_segment.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<std::int64_t> layers = {4, 10};

class Checkpoint : public testing::Test {
 protected:
  void SetUp() override {
    journal.append(tests::sample_base());
    for (std::int64_t batch = 1; batch <= 4; ++batch) journal.append(tests::sample_batch(batch));
    std::filesystem::create_directory(path());
  }

  std::filesystem::path path() const { return directory.path() / "checkpoint"; }
  std::filesystem::path file(std::int64_t segment, std::int64_t layer) const {
    return path() / fmt::format("seg-{:08d}-layer-{}.h5", segment, layer);
  }

  static CheckpointLayer sample(std::int64_t segment, std::int64_t layer) {
    CheckpointLayer sample{.layer = layer,
                           .weight = tests::sample_matrix(2, 3, static_cast<double>(segment + layer)),
                           .image = {1, 2, 3},
                           .fresh_drift = 1e-12,
                           .slabs = {0, 2}};
    return sample;
  }

  void save(std::int64_t segment) const {
    const std::string digest = journal.list().at(static_cast<std::size_t>(segment)).digest;
    const CheckpointName name{path(), segment, digest};
    for (const std::int64_t layer : layers) {
      write_checkpoint_layer(name, sample(segment, layer));
      write_checkpoint_slab(name, layer, 0, first_rows, 3);
      write_checkpoint_slab(name, layer, 2, last_row, 3);
    }
  }
  std::filesystem::path slab_file(std::int64_t segment, std::int64_t layer, std::int64_t row) const {
    return path() / fmt::format("seg-{:08d}-layer-{}-rows-{}.h5", segment, layer, row);
  }
  CheckpointChoice newest() const { return newest_checkpoint(path(), journal, layers); }

  const std::vector<double> first_rows = {1, 2, 3, 4, 5, 6}, last_row = {7, 8, 9};
  tests::TemporaryDirectory directory;
  Journal journal = Journal::open(directory.path() / "journal", JournalAccess::append);
};

TEST_F(Checkpoint, IsReadBackAsItWasWritten) {
  save(2);
  EXPECT_EQ(read_checkpoint_layer(path(), 2, 10), sample(2, 10));
  EXPECT_EQ(read_checkpoint_slab(path(), 2, 10, 0, 2, 3), first_rows);
  EXPECT_EQ(read_checkpoint_slab(path(), 2, 10, 2, 1, 3), last_row);
  EXPECT_THROW(read_checkpoint_slab(path(), 2, 10, 0, 1, 3), UserError) << "of another shape";
}

TEST_F(Checkpoint, TheNewestOneIsChosenAndNoneWhereThereIsNone) {
  EXPECT_EQ(newest().segment, std::nullopt);
  save(1);
  save(3);
  EXPECT_EQ(newest().segment, 3);
  EXPECT_THAT(newest().damaged, IsEmpty());
}

TEST_F(Checkpoint, ThatLacksALayerIsPassedOver) {
  save(1);
  save(3);
  std::filesystem::remove(file(3, 10));
  EXPECT_EQ(newest().segment, 1);
}

TEST_F(Checkpoint, ThatLacksASlabIsPassedOver) {
  save(1);
  save(3);
  std::filesystem::remove(slab_file(3, 10, 2));
  EXPECT_EQ(newest().segment, 1);
}

TEST_F(Checkpoint, WhoseSlabIsCutOffIsPassedOverAndNamed) {
  save(1);
  save(3);
  std::filesystem::resize_file(slab_file(3, 4, 0), 300);
  const CheckpointChoice choice = newest();
  EXPECT_EQ(choice.segment, 1);
  ASSERT_EQ(choice.damaged.size(), 1U);
  EXPECT_EQ(choice.damaged[0].path, slab_file(3, 4, 0));
}

// Schema 1 had the whole inverse and the whole system in the layer's file.
TEST_F(Checkpoint, OfAnEarlierVersionIsPassedOverAndNamed) {
  save(1);
  for (const std::int64_t layer : layers) {
    hdf5::NewFile content(file(3, layer));
    content.root().set_attribute("schema", "anchorage-checkpoint/1");
    content.root().set_attribute("segment", std::int64_t{3});
    content.root().set_attribute("digest", journal.list().at(3).digest);
    content.root().write("weight", tests::sample_matrix(2, 3, 1));
    write_sealed(file(3, layer), content.bytes(), IfExists::refuse);
  }
  const CheckpointChoice choice = newest();
  EXPECT_EQ(choice.segment, 1);
  ASSERT_EQ(choice.damaged.size(), 1U);
  EXPECT_THAT(choice.damaged[0].diagnostic, HasSubstr("another version"));
}

TEST_F(Checkpoint, ThatIsCutOffOrAlteredIsPassedOverAndNamed) {
  for (const std::int64_t segment : {1, 2, 3}) save(segment);
  std::filesystem::resize_file(file(3, 4), std::filesystem::file_size(file(3, 4)) / 2);
  {
    std::fstream altered(file(2, 10), std::ios::in | std::ios::out | std::ios::binary);
    altered.seekp(700);
    altered.put('\x55');
  }
  const CheckpointChoice choice = newest();
  EXPECT_EQ(choice.segment, 1);
  ASSERT_EQ(choice.damaged.size(), 2U);
  EXPECT_EQ(choice.damaged[0].path, file(3, 4));
  EXPECT_THAT(choice.damaged[0].diagnostic, HasSubstr("cut off"));
  EXPECT_THAT(choice.damaged[1].diagnostic, HasSubstr("altered"));
}

TEST_F(Checkpoint, OfAnotherJournalIsPassedOver) {
  const CheckpointName other{path(), 2, "of another run"};
  for (const std::int64_t layer : layers) {
    write_checkpoint_layer(other, sample(2, layer));
    write_checkpoint_slab(other, layer, 0, first_rows, 3);
    write_checkpoint_slab(other, layer, 2, last_row, 3);
  }
  EXPECT_EQ(newest().segment, std::nullopt);
  EXPECT_THAT(newest().damaged.at(0).diagnostic, HasSubstr("another segment"));
}

TEST_F(Checkpoint, OfWhatWasRolledBackIsPassedOver) {
  save(2);
  save(4);
  journal.append(tests::sample_rollback(5, 3));
  EXPECT_EQ(newest().segment, 2);
  journal.append(tests::sample_rollback(6, 1));
  EXPECT_EQ(newest().segment, std::nullopt);
  journal.append(tests::sample_rollback(7, 4));
  EXPECT_EQ(newest().segment, 4);
}

TEST_F(Checkpoint, OldOnesAreRemovedAsSoonAsEnoughNewerOnesAreWhole) {
  for (const std::int64_t segment : {1, 2, 3, 4}) save(segment);
  std::filesystem::remove(file(4, 4));
  remove_old_checkpoints(path(), layers, 2);
  EXPECT_THAT(checkpointed_segments(path()), ElementsAre(2, 3, 4));
  save(4);
  remove_old_checkpoints(path(), layers, 2);
  EXPECT_THAT(checkpointed_segments(path()), ElementsAre(3, 4));
  EXPECT_FALSE(std::filesystem::exists(slab_file(2, 4, 0)));
}

TEST_F(Checkpoint, ThatIsNotFiniteIsNeitherWrittenNorRead) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CheckpointLayer layer = sample(2, 4);
  layer.weight.values[4] = nan;
  const CheckpointName name{path(), 2, "digest"};
  EXPECT_THAT(tests::message_of([&] { write_checkpoint_layer(name, layer); }),
              HasSubstr("expected a weight of finite numbers, found nan at [1, 1], in " + file(2, 4).string()));
  layer = sample(2, 4);
  layer.image[1] = nan;
  EXPECT_THAT(tests::message_of([&] { write_checkpoint_layer(name, layer); }),
              HasSubstr("an image of least squares"));
  EXPECT_THAT(tests::message_of([&] {
                write_checkpoint_slab(name, 4, 2, std::vector<double>{1, nan, 2}, 3);
              }),
              HasSubstr("an inverse of least squares"));
  EXPECT_FALSE(std::filesystem::exists(file(2, 4)));

  hdf5::NewFile content(file(2, 4));
  content.root().set_attribute("fresh_drift", 0.0);
  content.root().write("weight", Matrix{.rows = 1, .columns = 1, .values = {nan}});
  content.root().write("image", std::vector<double>{1});
  content.root().write("slabs", std::vector<std::int64_t>{0});
  write_sealed(file(2, 4), content.bytes(), IfExists::refuse);
  EXPECT_THAT(tests::message_of([&] { read_checkpoint_layer(path(), 2, 4); }), HasSubstr("found nan at [0, 0]"));
}

}  // namespace
}  // namespace anchorage::io
