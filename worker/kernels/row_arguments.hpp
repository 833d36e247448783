// What the fused kernels are called with: rows of plain memory. Compiled for CPUs (simd/) and, at run time, for
// GPUs (cuda/), so it knows no torch and nothing of the standard library but <cstdint>. What the kernels compute
// stands beside the torch form of each.
//
// Memory is contiguous, its element the tensors'; arithmetic is in f32, of f64 elements in f64 ("wide"), and a
// result is rounded once where no comment says otherwise.
#pragma once

#include <cstdint>

namespace anchorage::worker::kernels {

enum class Element { bf16, f16, f32, f64 };

struct NormRows {
  Element element = Element::f32;
  std::int64_t width = 0;
  double epsilon = 0;
  bool plus_one = false;  // multiplies by 1 + weight, and rounds once; otherwise rounds before the weight too
  const void* input = nullptr;
  const void* weight = nullptr;    // [width]
  void* inverse = nullptr;         // [rows] wide: 1 / rms; written by norm_rows, read by norm_rows_back
  void* output = nullptr;          // norm_rows
  const void* gradient = nullptr;  // norm_rows_back: of the output
  const void* residual = nullptr;  // norm_rows_back: added to the result, or null
  void* input_gradient = nullptr;  // norm_rows_back
};

enum class Gate { silu, gelu_tanh };

struct GateRows {
  Element element = Element::f32;
  Gate gate = Gate::silu;
  std::int64_t width = 0;          // f
  const void* up = nullptr;        // [rows, 2 f]: the gate, then what it multiplies
  void* output = nullptr;          // gate_rows: [rows, f]; rounds the activation too
  const void* gradient = nullptr;  // gate_rows_back: of the output
  void* up_gradient = nullptr;     // gate_rows_back
};

// In place, of the first `heads` of `of_row` heads of each row.
struct RotationRows {
  Element element = Element::f32;
  std::int64_t heads = 0, of_row = 0, width = 0;
  std::int64_t turned = 0;       // entries of a head, its first
  bool neighbors = false;        // pairs (2 i, 2 i + 1); otherwise (i, i + turned / 2)
  bool back = false;             // by the opposite angles: the gradient of what was turned
  void* joined = nullptr;        // [rows, of_row, width]
  const void* cosine = nullptr;  // [rows, turned]
  const void* sine = nullptr;
};

// Attention of the last tokens of each text to the cached ones before them and to each other. Column c of a text is
// its position c, cached below `first_position`.
struct AttentionRows {
  Element element = Element::f32;
  std::int64_t heads = 0, groups = 0, width = 0;
  std::int64_t columns = 0;  // of the longest text
  std::int64_t window = 0;   // positions that a token sees, its own with them; 0: all
  double scale = 1, cap = 0;
  const std::int64_t* row_begin = nullptr;       // [texts + 1]
  const std::int64_t* first_position = nullptr;  // [texts]
  const void* cached_keys = nullptr;             // [texts, past, groups, width], or null
  const void* cached_values = nullptr;
  std::int64_t cache_stride = 0;    // elements from text to text
  const void* joined = nullptr;     // [tokens, heads + 2 groups, width]: queries, keys, values
  void* weights = nullptr;          // [tokens, heads, columns] wide: of the softmax; written by attend_rows
  void* mixed = nullptr;            // attend_rows: [tokens, heads, width]
  const void* gradient = nullptr;   // attend_rows_back: of mixed
  void* joined_gradient = nullptr;  // attend_rows_back
  // GPUs alone, which go over tokens: the text of each [tokens], and what the backward's two kernels share.
  const std::int64_t* text_of_token = nullptr;
  void* slopes = nullptr;  // [tokens, heads, columns] wide: the gradient by the products of queries and keys
};

// Losses of rows of logits (token_loss.hpp). The rows below `predicted` have a target, the others a distribution.
struct LossRows {
  Element element = Element::f32;
  std::int64_t width = 0;  // V
  std::int64_t predicted = 0;
  const void* logits = nullptr;           // [rows, V]
  const std::int64_t* targets = nullptr;  // [predicted]
  const void* before = nullptr;           // [rows - predicted, V] wide: log-probabilities
  void* totals = nullptr;                 // [rows] wide: log sum exp; written by loss_rows
  void* losses = nullptr;                 // loss_rows: [rows] wide
  bool* missed = nullptr;                 // loss_rows: [predicted]
  const void* gradient = nullptr;         // loss_rows_back: [rows] wide, of the losses
  void* logits_gradient = nullptr;        // loss_rows_back
};

}  // namespace anchorage::worker::kernels
