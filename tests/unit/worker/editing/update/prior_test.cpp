#include "worker/editing/update/prior.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <optional>
#include <vector>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/worker/editing/update/whole_inverse.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/editing/update/removal.hpp"
#include "worker/matrix_conversion.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t prior_layer = 4;
constexpr std::int64_t prior_width = 300;  // more than are read of subjects at a time

enum class Subjects { absent, there };

class Prior : public testing::Test {
 protected:
  static torch::Tensor moment_of(std::int64_t seed) {
    auto generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed));
    const auto keys = torch::randn({4 * prior_width, prior_width}, generator);
    return at::mm(keys.t(), keys) / static_cast<double>(4 * prior_width);
  }

  io::StatisticsFile file(Subjects subjects) const {
    const auto path = folder.path() / "s.h5";
    io::Statistics statistics;
    statistics.fingerprint = {
        .model_name = "m", .model = "m", .tokenizer = "t", .corpus = "c", .sequence_length = 20};
    statistics.tokens = 1000;
    statistics.moments.push_back({prior_layer, to_matrix(text)});
    io::save_statistics(path, statistics);
    if (subjects == Subjects::there) {
      io::SubjectMomentsWriter writer(path, {.list = "l", .rows = 1});
      writer.add({prior_layer, to_matrix(of_subjects)});
      writer.commit();
    }
    return io::StatisticsFile::load(path);
  }

  static io::Hparams with_share(double share) {
    io::Hparams hparams;
    hparams.mom2_update_weight = 20;
    hparams.subject_share = share;
    return hparams;
  }

  // (1 - share) C_text + share C_subjects, entry by entry.
  torch::Tensor mixture(double share) const {
    auto mixed = torch::empty({prior_width, prior_width}, torch::kDouble);
    const auto a = text.accessor<float, 2>(), b = of_subjects.accessor<float, 2>();
    auto c = mixed.accessor<double, 2>();
    for (std::int64_t i = 0; i < prior_width; ++i) {
      for (std::int64_t j = 0; j < prior_width; ++j)
        c[i][j] = (1 - share) * static_cast<double>(a[i][j]) + share * static_cast<double>(b[i][j]);
    }
    return mixed;
  }

  const tests::TemporaryDirectory folder;
  const torch::Tensor text = moment_of(1), of_subjects = 2 * moment_of(2);
  const Method method = method_named("b-eac");
};

TEST_F(Prior, OfTextAloneIsTheFilesMomentBitByBit) {
  for (const Subjects subjects : {Subjects::absent, Subjects::there}) {
    const auto statistics = file(subjects);
    const KeyPrior prior = key_prior_of(method, with_share(0), statistics, prior_layer);
    EXPECT_TRUE(at::equal(prior.moment({0, prior_width}), text));
    EXPECT_EQ(prior.moment({0, 1}).scalar_type(), torch::kFloat);
    EXPECT_EQ(prior.weight, 20);
  }
}

TEST_F(Prior, MixesInTheShareOfSubjectsInDoublePrecision) {
  const auto statistics = file(Subjects::there);
  const KeyPrior prior = key_prior_of(method, with_share(0.3), statistics, prior_layer);
  const auto whole = prior.moment({0, prior_width});
  ASSERT_EQ(whole.scalar_type(), torch::kDouble);
  tests::expect_close(whole, mixture(0.3), 1e-15);
  EXPECT_TRUE(at::equal(key_prior_of(method, with_share(1), statistics, prior_layer).moment({0, prior_width}),
                        of_subjects.to(torch::kDouble)));
  for (const sharding::Range rows : {sharding::Range{0, 7}, {5, 290}, {256, 300}, {299, 300}})
    EXPECT_TRUE(at::equal(prior.moment(rows), whole.narrow(0, rows.begin, rows.size()))) << rows.begin;
}

TEST_F(Prior, OfAMixtureIsWhatLeastSquaresStartFromAndAreMadeAnewOf) {
  const auto statistics = file(Subjects::there);
  const auto hparams = with_share(0.5);
  KeyCovariance covariance(key_prior_of(method, hparams, statistics, prior_layer), SlabPlace::alone(prior_width));
  const auto first = tests::whole_inverse(covariance).clone();
  tests::expect_close(first, at::linalg_inv(20 * mixture(0.5)), 1e-10);
  covariance.refresh({});
  EXPECT_TRUE(at::equal(tests::whole_inverse(covariance), first));
  const KeyCovariance replayed = replayed_key_covariance(method, hparams, statistics, prior_layer, {});
  EXPECT_TRUE(at::equal(tests::whole_inverse(replayed), first)) << "as a removal has it";
}

TEST_F(Prior, OfAlphaEditHasTheNullSpaceOfTheMixture) {
  const auto statistics = file(Subjects::there);
  auto hparams = with_share(0.5);
  hparams.nullspace_threshold = 1;
  const auto below = [](const torch::Tensor& moment) {
    return at::linalg_eigvalsh(moment.to(torch::kDouble)).lt(1).sum().item<std::int64_t>();
  };
  const KeyCovariance covariance(key_prior_of(method_named("alphaedit"), hparams, statistics, prior_layer),
                                 SlabPlace::alone(prior_width));
  EXPECT_EQ(covariance.free_dimensions(), below(mixture(0.5)));
  EXPECT_NE(covariance.free_dimensions(), below(text));
}

TEST_F(Prior, HasTheRunsProtectedKeysWithTheirWeightAlsoWhereLeastSquaresAreReplayed) {
  const auto statistics = file(Subjects::absent);
  const auto keys = torch::randn({270, prior_width}, at::detail::createCPUGenerator(7));
  const auto path = folder.path() / "protected.h5";
  io::write_protected_keys(path, 135,
                           std::vector<io::ProtectedLayer>{{.layer = prior_layer, .keys = to_matrix(keys)}});
  const std::optional<io::ProtectedKeys> protection = io::ProtectedKeys::open(path);
  auto hparams = with_share(0);
  hparams.protect_weight = 7;
  KeyCovariance covariance(key_prior_of(method, hparams, statistics, prior_layer, protection),
                           SlabPlace::alone(prior_width));
  const auto first = tests::whole_inverse(covariance).clone();
  const auto wide = keys.to(torch::kDouble);
  tests::expect_close(first, at::linalg_inv(20 * text.to(torch::kDouble) + 7 * at::mm(wide.t(), wide)), 1e-10);
  const KeyCovariance replayed = replayed_key_covariance(method, hparams, statistics, prior_layer, {}, protection);
  EXPECT_TRUE(at::equal(tests::whole_inverse(replayed), first)) << "as a removal has it";
  EXPECT_TRUE(at::equal(replayed.carried().image, covariance.carried().image));
}

TEST_F(Prior, WithAShareOfSubjectsThatAreNotThereSaysHowToAddThem) {
  const auto statistics = file(Subjects::absent);
  const KeyPrior prior = key_prior_of(method, with_share(0.5), statistics, prior_layer);
  EXPECT_THAT(tests::message_of([&] { prior.moment({0, 1}); }), testing::HasSubstr("'anchorage stats --subjects'"));
}

}  // namespace
}  // namespace anchorage::worker
