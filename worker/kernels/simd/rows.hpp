// The kernels of a CPU: each is compiled for several instruction sets (Highway), of which the machine's best is
// taken at run time. Know nothing of torch.
//
// Rows do not depend on each other, so their results are the same bits however threads divide them: a call computes
// rows [begin, end), of attention texts.
#pragma once

#include "worker/kernels/row_arguments.hpp"

namespace anchorage::worker::kernels::simd {

void norm_rows(const NormRows& norm, std::int64_t begin, std::int64_t end);
void norm_rows_back(const NormRows& norm, std::int64_t begin, std::int64_t end);
void gate_rows(const GateRows& gate, std::int64_t begin, std::int64_t end);
void gate_rows_back(const GateRows& gate, std::int64_t begin, std::int64_t end);
void rotate_rows(const RotationRows& rotation, std::int64_t begin, std::int64_t end);
void attend_rows(const AttentionRows& attention, std::int64_t begin, std::int64_t end);
void attend_rows_back(const AttentionRows& attention, std::int64_t begin, std::int64_t end);
void loss_rows(const LossRows& loss, std::int64_t begin, std::int64_t end);
void loss_rows_back(const LossRows& loss, std::int64_t begin, std::int64_t end);

}  // namespace anchorage::worker::kernels::simd
