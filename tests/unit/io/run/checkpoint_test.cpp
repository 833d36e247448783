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
                           .system_size = 2,
                           .system = {1, 2, 3, 4},
                           .inverse = std::vector<double>(9, 0.1)};
    return sample;
  }

  void save(std::int64_t segment) const {
    const std::string digest = journal.list().at(static_cast<std::size_t>(segment)).digest;
    for (const std::int64_t layer : layers) write_checkpoint_layer(path(), segment, digest, sample(segment, layer));
  }
  CheckpointChoice newest() const { return newest_checkpoint(path(), journal, layers); }

  tests::TemporaryDirectory directory;
  Journal journal = Journal::open(directory.path() / "journal", JournalAccess::append);
};

TEST_F(Checkpoint, IsReadBackAsItWasWritten) {
  save(2);
  EXPECT_EQ(read_checkpoint_layer(path(), 2, 10), sample(2, 10));
  EXPECT_EQ(read_checkpoint_weight(path(), 2, 10), sample(2, 10).weight);
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
  write_checkpoint_layer(path(), 2, "of another run", sample(2, 4));
  write_checkpoint_layer(path(), 2, "of another run", sample(2, 10));
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
}

TEST_F(Checkpoint, ThatIsNotFiniteIsNeitherWrittenNorRead) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CheckpointLayer layer = sample(2, 4);
  layer.weight.values[4] = nan;
  EXPECT_THAT(tests::message_of([&] { write_checkpoint_layer(path(), 2, "digest", layer); }),
              HasSubstr("expected a weight of finite numbers, found nan at [1, 1], in " + file(2, 4).string()));
  layer = sample(2, 4);
  layer.inverse[8] = nan;
  EXPECT_THAT(tests::message_of([&] { write_checkpoint_layer(path(), 2, "digest", layer); }),
              HasSubstr("an inverse of least squares"));
  EXPECT_FALSE(std::filesystem::exists(file(2, 4)));

  hdf5::NewFile content(file(2, 4));
  content.root().write("weight", Matrix{.rows = 1, .columns = 1, .values = {nan}});
  write_sealed(file(2, 4), content.bytes(), IfExists::refuse);
  EXPECT_THAT(tests::message_of([&] { read_checkpoint_weight(path(), 2, 4); }), HasSubstr("found nan at [0, 0]"));
}

}  // namespace
}  // namespace anchorage::io
