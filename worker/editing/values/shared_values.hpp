// Which edits of a group share one value: those of one subject (MEMIT-Merge, arXiv 2502.07322; docs/method.md
// section 1).
//
// Edits of one subject have nearly the same key. With a value each, least squares would write the mean of values
// that were each found without the others. Instead one value is found for all of them, along the mean of their
// gradients. Each keeps its own row in all tensors, with the same bits as the others of its subject.
#pragma once

#include <torch/types.h>

#include <span>
#include <vector>

#include "io/hparams/hparams.hpp"
#include "worker/editing/values/edit_prompts.hpp"

namespace anchorage::worker {

class SharedValues {
 public:
  // Of E edits, in order. None share a value without `merge_subjects`, and none where EditPrompts::subject is
  // empty.
  SharedValues(std::span<const EditPrompts> edits, const io::Hparams& hparams, torch::Device device);

  // Whether some do.
  bool any() const { return !members_.empty(); }

  // Return the rows [E, ...] with those of edits that share a value replaced: by their mean, by whether any of them
  // is true, by that of the first of them. The given tensor where none do. Sums have a fixed order.
  torch::Tensor mean_of(const torch::Tensor& rows) const;
  torch::Tensor any_of(const torch::Tensor& rows) const;  // [E] bool
  torch::Tensor first_of(const torch::Tensor& rows) const;

  // Returns the rows [E, ...] with zeros for all but the first of the edits that share a value.
  torch::Tensor once(const torch::Tensor& rows) const;

 private:
  std::vector<torch::Tensor> members_;  // of each value that several edits share: these, [n] i64 ascending
};

}  // namespace anchorage::worker
