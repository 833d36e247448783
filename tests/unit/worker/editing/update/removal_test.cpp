// Compares removal with runs that never had the edit: solved batch by batch, and densely in one piece.
#include "worker/editing/update/removal.hpp"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include <set>

#include "io/error.hpp"
#include "io/run/journal/live_segments.hpp"
#include "tests/support/sample_segment.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/worker/editing/update/whole_inverse.hpp"
#include "worker/editing/update/prior.hpp"
#include "worker/matrix_conversion.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t outputs = 9, inputs = 40, edited_layer = 4;

torch::Tensor random_f64(std::initializer_list<std::int64_t> shape) {
  return torch::randn(shape, torch::kDouble);
}

double relative_error(const torch::Tensor& found, const torch::Tensor& expected) {
  return ((found.to(torch::kDouble) - expected).norm() / expected.norm()).item<double>();
}

// A run of one layer on fixed keys and targets: a journal of real segments, and the weights' change that they make.
class FixedRun {
 public:
  FixedRun(const std::filesystem::path& path, KeyCovariance covariance)
      : journal_(io::Journal::open(path, io::JournalAccess::append)), covariance_(std::move(covariance)) {
    journal_.append(tests::sample_base());
  }

  // Edits `numbers`, columns of keys [f, n] and targets [d, n] (less what the base weight gives).
  void edit(const std::vector<std::int64_t>& numbers, const torch::Tensor& keys, const torch::Tensor& targets) {
    const auto index = torch::tensor(numbers);
    const auto k = keys.index_select(1, index).to(torch::kFloat);
    const auto residuals =
        (targets.index_select(1, index) - at::mm(change_, k.to(torch::kDouble))).to(torch::kFloat);
    const auto wide = k.to(torch::kDouble);
    const LowRankUpdate update = KeyCovariance::solve(wide, residuals, covariance_.products(wide));
    io::BatchSegment segment;
    segment.header.kind = io::SegmentKind::batch;
    segment.header.batch = next();
    io::LayerRecord record{.layer = edited_layer,
                           .keys = to_matrix(k.t()),
                           .residuals = {},
                           .u = to_matrix(update.u),
                           .v = to_matrix(update.v),
                           .edit_of_column = {},
                           .norms = {}};
    std::int32_t row = 0;
    for (const std::int64_t number : numbers) {
      places_[number] = {.id = std::to_string(number), .segment = next(), .edit = row};
      segment.edits.push_back({.id = std::to_string(number), .request = "{}", .reason = {}});
      record.edit_of_column.push_back(row);
      for (std::int32_t i = 0; i < outputs; ++i) {
        record.residuals.indices.push_back(i);
        record.residuals.values.push_back(residuals[i][row].item<float>());
      }
      record.residuals.offsets.push_back(std::ssize(record.residuals.values));
      ++row;
    }
    add(record.u, record.v);
    const auto absorbed = absorbed_keys(record).to(torch::kDouble).t();
    covariance_.absorb(absorbed, covariance_.products(absorbed));
    covariance_.accept();
    segment.layers.push_back(std::move(record));
    journal_.append(segment);
  }

  void remove(const std::vector<std::int64_t>& numbers) {
    sharding::Removal request{.edits = {}, .live = live()};
    for (const std::int64_t number : numbers) request.edits.push_back(places_.at(number));
    const RemovalTerms terms = removal_terms(request, edited_layer);
    const LowRankUpdate update = removal_update(covariance_, terms);
    io::BatchSegment segment;
    segment.header.kind = io::SegmentKind::removal;
    segment.header.batch = next();
    segment.removal.edits = request.edits;
    segment.removal.layers.push_back({.layer = edited_layer,
                                      .keys = to_matrix(terms.keys),
                                      .u = to_matrix(update.u),
                                      .v = to_matrix(update.v),
                                      .norms = {}});
    add(segment.removal.layers[0].u, segment.removal.layers[0].v);
    const auto released = terms.keys.to(torch::kDouble).t();
    covariance_.release(released, covariance_.products(released));
    covariance_.accept();
    journal_.append(segment);
  }

  std::vector<std::string> live() const {
    std::vector<std::string> paths;
    for (const io::JournalEntry& entry : io::live_segments(journal_)) paths.push_back(entry.path.string());
    return paths;
  }

  const torch::Tensor& change() const { return change_; }  // [d, f] f64
  const KeyCovariance& covariance() const { return covariance_; }

 private:
  std::int64_t next() const { return std::ssize(journal_.list()); }
  void add(const io::Matrix& u, const io::Matrix& v) {
    change_ = change_ + at::mm(to_tensor(u).to(torch::kDouble), to_tensor(v).to(torch::kDouble).t());
  }

  io::Journal journal_;
  KeyCovariance covariance_;
  torch::Tensor change_ = torch::zeros({outputs, inputs}, torch::kDouble);
  std::map<std::int64_t, io::RecordedPlace> places_;
};

auto rows_of(const torch::Tensor& moment) {
  return [moment](sharding::Range rows) { return moment.narrow(0, rows.begin, rows.size()); };
}

KeyCovariance covariance_of(KeyPrior prior) {
  return {std::move(prior), SlabPlace::alone(inputs, 15)};
}

class Removal : public testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(3);
    const auto text = random_f64({inputs, 5 * inputs});
    moment = at::mm(text, text.t()) / (5 * inputs);
    keys = random_f64({inputs, 12}).to(torch::kFloat).to(torch::kDouble);
    keys.select(1, 7) = keys.select(1, 2) + 0.3 * keys.select(1, 7);  // one that leans on another batch's
    targets = random_f64({outputs, 12});
  }

  FixedRun run(const char* name) const {
    return {folder.path() / name, covariance_of({.moment = rows_of(moment), .weight = weight})};
  }

  // D = B A^-1 of these edits alone, densely and from nothing.
  torch::Tensor solved_at_once(const std::set<std::int64_t>& without) const {
    std::vector<std::int64_t> left;
    for (std::int64_t i = 0; i < 12; ++i) {
      if (!without.contains(i)) left.push_back(i);
    }
    const auto k = keys.index_select(1, torch::tensor(left)), t = targets.index_select(1, torch::tensor(left));
    return at::linalg_solve(weight * moment + at::mm(k, k.t()), at::mm(k, t.t())).t();
  }

  const tests::TemporaryDirectory folder;
  double weight = 3;
  torch::Tensor moment, keys, targets;
};

TEST_F(Removal, EqualsTheRunThatNeverHadTheEditSolvedAtOnceAndBatchByBatch) {
  for (const std::int64_t gone : {0, 2, 7, 11}) {
    FixedRun with = run(("with" + std::to_string(gone)).c_str());
    FixedRun without = run(("without" + std::to_string(gone)).c_str());
    for (std::int64_t begin = 0; begin < 12; begin += 4) {
      std::vector<std::int64_t> all, others;
      for (std::int64_t i = begin; i < begin + 4; ++i) {
        all.push_back(i);
        if (i != gone) others.push_back(i);
      }
      with.edit(all, keys, targets);
      without.edit(others, keys, targets);
    }
    EXPECT_GT(relative_error(with.change(), without.change()), 1e-2);
    with.remove({gone});
    EXPECT_LT(relative_error(with.change(), without.change()), 1e-5) << "edit " << gone;
    EXPECT_LT(relative_error(with.change(), solved_at_once({gone})), 1e-5) << "edit " << gone;
    EXPECT_LT(relative_error(tests::whole_inverse(with.covariance()), tests::whole_inverse(without.covariance())),
              1e-9)
        << "edit " << gone;
  }
}

TEST_F(Removal, OfSeveralEditsAtOnceEqualsOneAfterTheOther) {
  FixedRun once = run("once"), in_turn = run("in-turn");
  for (FixedRun* one : {&once, &in_turn}) {
    one->edit({0, 1, 2, 3, 4}, keys, targets);
    one->edit({5, 6, 7, 8, 9, 10, 11}, keys, targets);
  }
  once.remove({1, 7, 3});
  in_turn.remove({7});
  in_turn.remove({3, 1});
  EXPECT_LT(relative_error(once.change(), in_turn.change()), 1e-5);
  EXPECT_LT(relative_error(once.change(), solved_at_once({1, 3, 7})), 1e-5);
}

// A nightly run continues: batches after a removal, and removals of edits from before and after it.
TEST_F(Removal, StaysExactBetweenLaterBatchesAndRemovals) {
  FixedRun edits = run("edits");
  edits.edit({0, 1, 2, 3}, keys, targets);
  edits.remove({2});
  edits.edit({4, 5, 6, 7}, keys, targets);
  edits.remove({0});
  edits.edit({8, 9, 10, 11}, keys, targets);
  edits.remove({7, 9});
  EXPECT_LT(relative_error(edits.change(), solved_at_once({0, 2, 7, 9})), 1e-5);
}

TEST_F(Removal, OfEveryEditLeavesNothing) {
  FixedRun edits = run("edits");
  edits.edit({0, 1, 2}, keys, targets);
  edits.edit({3, 4}, keys, targets);
  const double norm = edits.change().norm().item<double>();
  edits.remove({0, 1, 2, 3, 4});
  EXPECT_LT(edits.change().norm().item<double>(), 1e-5 * norm);
  const auto untouched = covariance_of({.moment = rows_of(moment), .weight = weight});
  EXPECT_LT(relative_error(tests::whole_inverse(edits.covariance()), tests::whole_inverse(untouched)), 1e-9);
}

// AlphaEdit's update lies in a null space, and so does the update that removes it.
TEST_F(Removal, IsExactInANullSpaceToo) {
  const auto covariance = [&] {
    return covariance_of({.moment = rows_of(moment), .null_space = true, .threshold = 1.0, .l2 = 2.0});
  };
  FixedRun with(folder.path() / "with", covariance()), without(folder.path() / "without", covariance());
  with.edit({0, 1, 2, 3}, keys, targets);
  with.edit({4, 5, 6}, keys, targets);
  without.edit({0, 2, 3}, keys, targets);
  without.edit({4, 5, 6}, keys, targets);
  with.remove({1});
  EXPECT_LT(relative_error(with.change(), without.change()), 1e-5);
}

// The run that never had the edit has protected the same keys.
TEST_F(Removal, IsExactBesideProtectedKeys) {
  const auto kept = random_f64({5, inputs}).to(torch::kFloat);
  const ProtectedKeyRows protection{
      .count = 5,
      .rows = [kept](sharding::Range rows) { return kept.narrow(0, rows.begin, rows.size()); },
      .weight = 40};
  for (const bool null_space : {false, true}) {
    const auto covariance = [&] {
      return covariance_of({.moment = rows_of(moment),
                            .weight = weight,
                            .null_space = null_space,
                            .threshold = 1.0,
                            .l2 = 2.0,
                            .protection = protection});
    };
    const std::string space = null_space ? " in a null space" : "";
    FixedRun with(folder.path() / ("with" + space), covariance()),
        without(folder.path() / ("without" + space), covariance());
    with.edit({0, 1, 2, 3}, keys, targets);
    with.edit({4, 5, 6}, keys, targets);
    without.edit({0, 2, 3}, keys, targets);
    without.edit({4, 5, 6}, keys, targets);
    with.remove({1});
    EXPECT_LT(relative_error(with.change(), without.change()), 1e-5) << space;
  }
}

TEST_F(Removal, LeastSquaresReplayedFromTheJournalHaveTheSameBits) {
  io::Statistics statistics;
  statistics.fingerprint = {.model_name = "m", .model = "m", .tokenizer = "t", .corpus = "c", .sequence_length = 8};
  statistics.tokens = 200;
  statistics.moments.push_back({edited_layer, to_matrix(moment)});
  io::save_statistics(folder.path() / "s.h5", statistics);
  const auto file = io::StatisticsFile::load(folder.path() / "s.h5");
  io::Hparams hparams;
  hparams.mom2_update_weight = weight;
  const Method method = method_named("b-eac");
  FixedRun edits(folder.path() / "edits",
                 KeyCovariance(key_prior_of(method, hparams, file, edited_layer), SlabPlace::alone(inputs)));
  edits.edit({0, 1, 2, 3}, keys, targets);
  edits.remove({2});
  edits.edit({4, 5}, keys, targets);
  const auto live = edits.live();
  const KeyCovariance replayed = replayed_key_covariance(method, hparams, file, edited_layer, live);
  EXPECT_TRUE(at::equal(tests::whole_inverse(replayed), tests::whole_inverse(edits.covariance())));
  EXPECT_TRUE(at::equal(replayed.carried().image, edits.covariance().carried().image));
}

TEST_F(Removal, IsRefusedForAMethodThatForgetsKeys) {
  EXPECT_THROW(require_removable(method_named("memit")), io::UserError);
  EXPECT_NO_THROW(require_removable(method_named("b-eac")));
}

}  // namespace
}  // namespace anchorage::worker
