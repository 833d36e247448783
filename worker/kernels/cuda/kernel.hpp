// The kernels for GPUs by name, and how many threads each is launched with. Knows neither CUDA nor torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "worker/kernels/row_arguments.hpp"

namespace anchorage::worker::kernels::cuda {

// The kernels of one source file, which are compiled together.
struct Family {
  const char* source;                  // from the source root
  std::span<const char* const> names;  // of templates over the element
};

// A launch: blocks of `threads` threads, whole warps of 32, with so many bytes of shared memory each.
struct Grid {
  std::int64_t x = 1, y = 1;
  unsigned threads = 32;
  std::size_t shared_bytes = 0;
};

struct Kernel {
  const Family* family;
  const char* name;
};

namespace names {
inline constexpr const char* norm[] = {"norm_rows", "norm_rows_back"};
inline constexpr const char* gate[] = {"gate_rows", "gate_rows_back"};
inline constexpr const char* rotation[] = {"rotate_rows"};
inline constexpr const char* attention[] = {"attend", "attend_back_by_queries", "attend_back_by_columns"};
inline constexpr const char* loss[] = {"loss_rows", "loss_rows_back"};
}  // namespace names

inline constexpr Family norm_family{"worker/kernels/cuda/norm.cu", names::norm};
inline constexpr Family gate_family{"worker/kernels/cuda/gate.cu", names::gate};
inline constexpr Family rotation_family{"worker/kernels/cuda/rotation.cu", names::rotation};
inline constexpr Family attention_family{"worker/kernels/cuda/attention.cu", names::attention};
inline constexpr Family loss_family{"worker/kernels/cuda/loss.cu", names::loss};
inline constexpr const Family* families[] = {&norm_family, &gate_family, &rotation_family, &attention_family,
                                             &loss_family};

inline constexpr Kernel norm_rows{&norm_family, names::norm[0]}, norm_rows_back{&norm_family, names::norm[1]};
inline constexpr Kernel gate_rows{&gate_family, names::gate[0]}, gate_rows_back{&gate_family, names::gate[1]};
inline constexpr Kernel rotate_rows{&rotation_family, names::rotation[0]};
inline constexpr Kernel attend{&attention_family, names::attention[0]},
    attend_back_by_queries{&attention_family, names::attention[1]},
    attend_back_by_columns{&attention_family, names::attention[2]};
inline constexpr Kernel loss_rows{&loss_family, names::loss[0]}, loss_rows_back{&loss_family, names::loss[1]};

// A block a row of `width` entries, over which it sums: a thread for 8 of them, 1,024 at most.
Grid block_per_row(std::int64_t rows, std::int64_t width);

// Blocks of up to 256 threads over each row of `width` entries, which do not depend on each other: 4 a thread.
Grid blocks_over_rows(std::int64_t rows, std::int64_t width);

// Of attend and attend_back_by_queries, and of attend_back_by_columns.
Grid block_per_query(const AttentionRows& attention, std::int64_t tokens);
Grid block_per_column(const AttentionRows& attention, std::int64_t tokens);

}  // namespace anchorage::worker::kernels::cuda
