// Attention of packed tokens. What it computes stands in worker/kernels/attention.hpp, the layout in
// row_arguments.hpp.
//
// Forward, and backward by scores and queries, a block has one token (blockIdx.x) and one head (blockIdx.y): its
// warps share the columns, then its threads the entries of the head. Backward by keys and values a block has one
// token and one key-value head, and adds what later tokens of the text contribute in their order.
#include "worker/kernels/cuda/elements.cuh"

namespace anchorage::worker::kernels::device {

// A token among the columns of its text.
struct Query {
  std::int64_t text, token, first, begin;  // of the text: its first position here, and its first token
  std::int64_t from, to;                   // columns [from, to) are seen; the token's own is to - 1
};

__device__ inline Query query_of(const AttentionRows& attention, std::int64_t token) {
  Query query;
  query.text = attention.text_of_token[token];
  query.token = token;
  query.first = attention.first_position[query.text];
  query.begin = attention.row_begin[query.text];
  query.to = query.first + token - query.begin + 1;
  query.from = attention.window > 0 && query.to > attention.window ? query.to - attention.window : 0;
  return query;
}

// The head `head` of a token in `joined`.
template <class T>
__device__ inline const T* head_of(const AttentionRows& attention, std::int64_t token, std::int64_t head) {
  const std::int64_t of_token = attention.heads + 2 * attention.groups;
  return static_cast<const T*>(attention.joined) + (token * of_token + head) * attention.width;
}

// The key or value of a column: in the cache, or `head` of `joined`.
template <class T>
__device__ inline const T* column_of(const AttentionRows& attention, const Query& query, const void* cached,
                                     std::int64_t group, std::int64_t head, std::int64_t column) {
  if (column >= query.first) return head_of<T>(attention, query.begin + column - query.first, head);
  return static_cast<const T*>(cached) + query.text * attention.cache_stride +
         (column * attention.groups + group) * attention.width;
}

template <class T>
__device__ inline const T* key_of(const AttentionRows& attention, const Query& query, std::int64_t group,
                                  std::int64_t column) {
  return column_of<T>(attention, query, attention.cached_keys, group, attention.heads + group, column);
}

template <class T>
__device__ inline const T* value_of(const AttentionRows& attention, const Query& query, std::int64_t group,
                                    std::int64_t column) {
  return column_of<T>(attention, query, attention.cached_values, group, attention.heads + attention.groups + group,
                      column);
}

// What a warp's threads get of `of_head`, shared and wide, times `column`.
template <class T>
__device__ inline Wide<T> product(const AttentionRows& attention, const Wide<T>* of_head, const T* column) {
  Wide<T> mine = 0;
  for (std::int64_t i = threadIdx.x % threads_of_warp; i < attention.width; i += threads_of_warp)
    mine = multiply_add(of_head[i], wide(column[i]), mine);
  return over_warp(mine, Sum());
}

// The score of a product: times the scale, capped.
template <class W>
__device__ inline W score_of(const AttentionRows& attention, W product) {
  const W score = product * static_cast<W>(attention.scale), cap = static_cast<W>(attention.cap);
  return cap == 0 ? score : cap * hyperbolic_tangent(score / cap);
}

template <class T>
__global__ void attend(AttentionRows attention) {
  using W = Wide<T>;
  const Query query = query_of(attention, blockIdx.x);
  const std::int64_t head = blockIdx.y, e = attention.width, at = query.token * attention.heads + head;
  const std::int64_t group = head / (attention.heads / attention.groups);
  W *of_head = shared_memory<W>(), *scores = of_head + e, *of_warps = scores + attention.columns;
  const T* joined = head_of<T>(attention, query.token, head);
  for (std::int64_t i = threadIdx.x; i < e; i += blockDim.x) of_head[i] = wide(joined[i]);
  __syncthreads();

  const std::int64_t warps = blockDim.x / threads_of_warp, warp = threadIdx.x / threads_of_warp;
  for (std::int64_t c = query.from + warp; c < query.to; c += warps) {
    const W score = score_of(attention, product(attention, of_head, key_of<T>(attention, query, group, c)));
    if (threadIdx.x % threads_of_warp == 0) scores[c] = score;
  }
  __syncthreads();

  W mine = -infinity(W());
  for (std::int64_t c = query.from + threadIdx.x; c < query.to; c += blockDim.x) mine = Highest()(mine, scores[c]);
  const W highest = over_block(mine, Highest(), of_warps);
  mine = 0;
  for (std::int64_t c = query.from + threadIdx.x; c < query.to; c += blockDim.x) {
    scores[c] = power(scores[c] - highest);
    mine += scores[c];
  }
  const W sum = over_block(mine, Sum(), of_warps);
  W* weights = static_cast<W*>(attention.weights) + at * attention.columns;
  for (std::int64_t c = query.from + threadIdx.x; c < query.to; c += blockDim.x)
    weights[c] = scores[c] = scores[c] / sum;
  __syncthreads();

  T* mixed = static_cast<T*>(attention.mixed) + at * e;
  for (std::int64_t i = threadIdx.x; i < e; i += blockDim.x) {
    W entry = 0;
    for (std::int64_t c = query.from; c < query.to; ++c)
      entry = multiply_add(scores[c], wide(value_of<T>(attention, query, group, c)[i]), entry);
    mixed[i] = narrow<T>(entry);
  }
}

// With p the softmax's weights, s the scores and g the gradient of what was mixed: dp_c = g . v_c,
// ds = p (dp - sum p dp), of a capped score times 1 - (s / cap)^2; slopes = scale ds; dq = sum_c slopes_c k_c.
template <class T>
__global__ void attend_back_by_queries(AttentionRows attention) {
  using W = Wide<T>;
  const Query query = query_of(attention, blockIdx.x);
  const std::int64_t head = blockIdx.y, e = attention.width, at = query.token * attention.heads + head;
  const std::int64_t group = head / (attention.heads / attention.groups);
  W *of_head = shared_memory<W>(), *gradient = of_head + e, *slopes = gradient + e,
    *of_warps = slopes + attention.columns;
  const T* joined = head_of<T>(attention, query.token, head);
  for (std::int64_t i = threadIdx.x; i < e; i += blockDim.x) {
    of_head[i] = wide(joined[i]);
    gradient[i] = wide(static_cast<const T*>(attention.gradient)[at * e + i]);
  }
  __syncthreads();

  const std::int64_t warps = blockDim.x / threads_of_warp, warp = threadIdx.x / threads_of_warp;
  for (std::int64_t c = query.from + warp; c < query.to; c += warps) {
    const W of_weight = product(attention, gradient, value_of<T>(attention, query, group, c));
    if (threadIdx.x % threads_of_warp == 0) slopes[c] = of_weight;
  }
  __syncthreads();

  const W* weights = static_cast<const W*>(attention.weights) + at * attention.columns;
  W* kept = static_cast<W*>(attention.slopes) + at * attention.columns;
  W mine = 0;
  for (std::int64_t c = query.from + threadIdx.x; c < query.to; c += blockDim.x)
    mine = multiply_add(weights[c], slopes[c], mine);
  const W along = over_block(mine, Sum(), of_warps), cap = static_cast<W>(attention.cap);
  for (std::int64_t c = query.from + warp; c < query.to; c += warps) {
    W share = 0;
    if (cap != 0)
      share = score_of(attention, product(attention, of_head, key_of<T>(attention, query, group, c))) / cap;
    if (threadIdx.x % threads_of_warp != 0) continue;
    W slope = weights[c] * (slopes[c] - along);
    if (cap != 0) slope *= multiply_add(-share, share, W(1));
    kept[c] = slopes[c] = slope * static_cast<W>(attention.scale);
  }
  __syncthreads();

  const std::int64_t of_token = attention.heads + 2 * attention.groups;
  T* result = static_cast<T*>(attention.joined_gradient) + (query.token * of_token + head) * e;
  for (std::int64_t i = threadIdx.x; i < e; i += blockDim.x) {
    W entry = 0;
    for (std::int64_t c = query.from; c < query.to; ++c)
      entry = multiply_add(slopes[c], wide(key_of<T>(attention, query, group, c)[i]), entry);
    result[i] = narrow<T>(entry);
  }
}

// dk_c = sum slopes_c q and dv_c = sum p_c g, over the tokens that see column c and the heads of the group. What is
// cached needs no gradients.
template <class T>
__global__ void attend_back_by_columns(AttentionRows attention) {
  using W = Wide<T>;
  const Query own = query_of(attention, blockIdx.x);
  const std::int64_t group = blockIdx.y, e = attention.width, column = own.to - 1;
  const std::int64_t of_group = attention.heads / attention.groups;
  std::int64_t end = attention.row_begin[own.text + 1];
  if (attention.window > 0 && end > own.token + attention.window) end = own.token + attention.window;
  const std::int64_t of_token = attention.heads + 2 * attention.groups;
  T* of_key = static_cast<T*>(attention.joined_gradient) + (own.token * of_token + attention.heads + group) * e;
  T* of_value = of_key + attention.groups * e;
  for (std::int64_t i = threadIdx.x; i < e; i += blockDim.x) {
    W key = 0, value = 0;
    for (std::int64_t token = own.token; token < end; ++token) {
      for (std::int64_t head = group * of_group; head < (group + 1) * of_group; ++head) {
        const std::int64_t at = token * attention.heads + head, here = at * attention.columns + column;
        key = multiply_add(static_cast<const W*>(attention.slopes)[here],
                           wide(head_of<T>(attention, token, head)[i]), key);
        value = multiply_add(static_cast<const W*>(attention.weights)[here],
                             wide(static_cast<const T*>(attention.gradient)[at * e + i]), value);
      }
    }
    of_key[i] = narrow<T>(key);
    of_value[i] = narrow<T>(value);
  }
}

}  // namespace anchorage::worker::kernels::device
