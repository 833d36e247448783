// A hyper-parameter is said to have no effect exactly where it changes no bit of what is written.
#include "worker/editing/unused_hparams.hpp"

#include <gtest/gtest.h>

#include "tests/unit/worker/editing/editor_test.hpp"

namespace anchorage::worker {
namespace {

// A method with what is set from the start.
struct Base {
  std::string name, method;
  std::vector<std::string> settings;

  friend void PrintTo(const Base& base, std::ostream* out) { *out << base.name; }
};

class UnusedHparams : public tests::EditorTest, public testing::WithParamInterface<Base> {
 protected:
  // Three batches, since the rolling scores of one have no scale; of three edits, which compete for capacity.
  std::map<std::int64_t, torch::Tensor> written() {
    return edit(GetParam().method, {1, 1}, tests::seven_edits(), 3).weights;
  }
  bool changes(const std::map<std::int64_t, torch::Tensor>& before) {
    const auto now = written();
    return !at::equal(now.at(1), before.at(1)) || !at::equal(now.at(2), before.at(2));
  }
};

TEST_P(UnusedHparams, AreThoseThatChangeNoBit) {
  for (const std::string& setting : GetParam().settings) io::set(options, setting);
  const io::Hparams base = options;
  const auto before = written();
  const Method method = method_named(GetParam().method);
  for (const char* setting : {"v_num_grad_steps=9",
                              "v_lr=0.1",
                              "ngd_step=0.1",
                              "target_norm=5",
                              "mom2_update_weight=1",
                              "subject_share=0.5",
                              "correction_sweeps=0",
                              "nullspace_threshold=0.1",
                              "L2=1",
                              "eac_locate_steps=5",
                              "eac_compress_steps=7",
                              "eac_anchor_ratio=0.25",
                              "eac_l1=0.1",
                              "anchors=off",
                              "las=off",
                              "anchor_ratio=0.25",
                              "anchor_mass=0.5",
                              "las_balance=1",
                              "las_capacity=1",
                              "rar=off",
                              "rar_decay=0.1",
                              "rar_strength=30"}) {
    options = base;
    io::set(options, setting);
    if (options == base) continue;
    const std::string key(setting, std::string_view(setting).find('='));
    EXPECT_EQ(unmet_condition(key, method, base).empty(), changes(before)) << setting;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Methods, UnusedHparams,
    testing::Values(Base{"memit", "memit", {}}, Base{"memit_seq_ngd", "memit_seq", {"v_optimizer=ngd"}},
                    Base{"alphaedit", "alphaedit", {}}, Base{"eac", "eac", {}}, Base{"b_eac", "b-eac", {}},
                    Base{"without_anchors", "b-eac", {"anchors=off"}}, Base{"without_las", "b-eac", {"las=off"}},
                    Base{"without_rar", "b-eac", {"rar=off"}},
                    Base{"by_mass", "b-eac", {"anchor_ratio=auto", "las_balance=1"}}),
    [](const auto& base) { return base.param.name; });

TEST(MissingCondition, OfWhatTheEditorDoesNotRead) {
  const Method method = method_named("b-eac");
  EXPECT_EQ(unmet_condition("guard_drift", method, {}), "");
  EXPECT_EQ(unmet_condition("guard_drift", method, {.guard = false}), "guard: true");
  EXPECT_EQ(unmet_condition("context_length", method, {}), "");
  EXPECT_EQ(unmet_condition("context_length", method, {.contexts = 1}), "more than one context");
}

}  // namespace
}  // namespace anchorage::worker
