// How the rotary frequencies of a model differ from theta^(-2i/e), from its config.json. The formulas are those of
// transformers' modeling_rope_utils.py.
#pragma once

#include <cstdint>
#include <vector>

#include "io/model/config_fields.hpp"
#include "io/model/family.hpp"

namespace anchorage::io {

// `linear` divides all of them by `factor`. `llama3` divides those of long wavelength and blends in between; so
// does `yarn` (arXiv 2309.00071), which also scales the rotated queries and keys. `longrope` (arXiv 2402.13753)
// divides each by a factor of its own: one of `short_factors`, or in a text of more than
// original_max_position_embeddings tokens one of `long_factors`. Each text counts alone, not with those that happen
// to be in its batch. The `dynamic` scaling of transformers is `none`: it changes nothing in a text that the
// model's positions suffice for, and longer ones are refused.
struct RopeScaling {
  enum class Kind { none, linear, llama3, yarn, longrope };
  Kind kind = Kind::none;
  double factor = 1.0;           // all but longrope
  double low_freq_factor = 1.0;  // this and the next: llama3 only
  double high_freq_factor = 4.0;
  std::int64_t original_max_position_embeddings = 0;  // all but linear
  double attention_factor = 1.0;                      // of cosine and sine: yarn and longrope
  double beta_fast = 32.0, beta_slow = 1.0;           // this and the next: yarn only
  bool truncate = true;
  std::vector<double> short_factors = {};  // [e / 2]: this and the next: longrope only
  std::vector<double> long_factors = {};
};

struct RopeParameters {
  double theta = 10000.0;
  RopeScaling scaling;
  double local_theta = 0;  // of layers with a window, which no scaling changes; 0: the family makes no difference
};

// Reads three spellings: 'rope_parameters' holds everything (transformers 5), or 'rope_scaling' with 'rope_type'
// (4) or 'type' (older) beside 'rope_theta'. As in transformers, 'rope_scaling' wins over 'rope_parameters', a
// theta inside over the one beside it, and where there is one set for each kind of layer, it is read as that; and
// original_max_position_embeddings beside it over the one inside. Errors: UserError.
RopeParameters read_rope(const ConfigFields& fields, const FamilyTraits& traits, std::int64_t max_positions,
                         std::int64_t rotary_dim);

}  // namespace anchorage::io
