// Between the residual stream and the output of the down projection, in families with a norm in between.
//
// Such a block adds n = g * m / rms(m) to the residual stream, with m [d] the down projection's output and g the
// norm's gain. Least squares write m, so that residuals of the residual stream have to become residuals of m. Entry
// by entry, and with rms(m) as it is, dn = (g / rms(m)) dm. Times rms(m) / g, a change r of the stream gives a
// direction of m for which the norm returns that of n + r; its length is the norm's own. An entry that the norm
// almost mutes would ask for a large m that shortens all others: rms(m) g / (g^2 + damping^2 mean(g^2)) is taken
// instead.
#pragma once

#include "worker/model/transformer.hpp"

namespace anchorage::worker {

inline constexpr double norm_damping = 0.1;

// Of down projections' outputs [rows, d]: the slopes dn / dm and dm / dn of each entry, [rows, 2, d] f32.
torch::Tensor slopes_of(const Norm& norm, const io::ModelConfig& config, const torch::Tensor& down);

}  // namespace anchorage::worker
