// What is known of a layer's keys before any edit.
#pragma once

#include <optional>

#include "io/hparams/hparams.hpp"
#include "io/run/protected_keys.hpp"
#include "io/statistics/statistics_file.hpp"
#include "worker/editing/method.hpp"
#include "worker/editing/update/least_squares.hpp"

namespace anchorage::worker {

// Makes the prior of a layer from its second moment, by the method's prior and the transform of its updates. The
// second moment is that of general text or, with hparams.subject_share above 0, the mixture of docs/method.md,
// section 3:
//
//   C = (1 - subject_share) C_text + subject_share C_subjects
//
// in f64, for which the statistics must have those of subjects. The run's protected keys are a part of it, each
// with hparams.protect_weight. Borrows the statistics; reads rows of them, and keys, when they are needed.
KeyPrior key_prior_of(const Method& method, const io::Hparams& hparams, const io::StatisticsFile& statistics,
                      std::int64_t layer, const std::optional<io::ProtectedKeys>& protected_keys = std::nullopt);

}  // namespace anchorage::worker
