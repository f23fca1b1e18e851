// Attention backward without atomics: queries' gradients by blocks of queries, keys' and values' by blocks of keys; P
// is computed again from the log-sum-exp. SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/attention_tile.cuh"

namespace timetrial::ops::cuda {

namespace {

// delta = out . d_out of one query and head. A warp per query of blockIdx.x's tile; blockIdx.y head, z sequence.
template <class T>
__global__ void delta_kernel(AttentionBackwardLaunch a) {
  const AttentionLayout& s = a.layout;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kAttentionTile, head = blockIdx.y, sequence = blockIdx.z;
  const auto out = out_rows(static_cast<const T*>(a.out), s, sequence, first, head);
  const auto d_out = out_rows(static_cast<const T*>(a.d_out), s, sequence, first, head);
  for (int r = 0; r < kOwnRows; ++r) {
    if (own_row(r) >= out.count) continue;
    float sum = 0;
    for (int64_t c = lane_of_thread(); c < s.value_dim; c += 32)
      sum += load(out.data + own_row(r) * out.stride + c) * load(d_out.data + own_row(r) * d_out.stride + c);
    sum = warp_sum(sum);
    if (lane_of_thread() == 0) a.delta[(sequence * s.heads + head) * s.length + first + own_row(r)] = sum;
  }
}

// P and dS of one query and key from scale * q.k and d_out.v; both 0 where the query does not see the key.
struct ScoreGradient {
  float p, d_score;
};
__device__ ScoreGradient score_gradient(const AttentionBackwardLaunch& a, int64_t row_of_head, int64_t query,
                                        int64_t key, float score, float d_p) {
  if (!sees(a.layout, query, key)) return {0, 0};
  const float p = expf(score - a.lse[row_of_head + query]);
  return {p, p * (d_p - a.delta[row_of_head + query])};
}

// blockIdx: tile of queries, head, sequence.
template <class T>
__global__ void queries_kernel(AttentionBackwardLaunch a) {
  const AttentionLayout& s = a.layout;
  const int64_t first_query = static_cast<int64_t>(blockIdx.x) * kAttentionTile, head = blockIdx.y,
                sequence = blockIdx.z, kv = head / (s.heads / s.kv_heads);
  const QkvRows<const T> in{static_cast<const T*>(a.qkv), s, sequence};
  SharedSpace space{attention_shared};
  const SharedTile q = space.tile(s.head_dim), k = space.tile(s.head_dim), d_q = space.tile(s.head_dim),
                   v = space.tile(s.value_dim), d_out = space.tile(s.value_dim), exchange = space.tile(kAttentionTile);
  load_tile(q, in.q(first_query, head));
  load_tile(d_out, out_rows(static_cast<const T*>(a.d_out), s, sequence, first_query, head));
  clear_own_rows(d_q);

  constexpr float kKeep[kOwnRows] = {1, 1, 1, 1};
  const int64_t row_of_head = (sequence * s.heads + head) * s.length;
  const int64_t last_query = first_query + kAttentionTile < s.length ? first_query + kAttentionTile : s.length;
  for (int64_t first = first_key(s, first_query); first < last_query; first += kAttentionTile) {
    __syncthreads();  // keys and values before may still be being read
    load_tile(k, in.k(first, kv));
    load_tile(v, in.v(first, kv));
    __syncthreads();
    float score[kOwnRows], d_p[kOwnRows];
    dot_rows(score, q, k);
    dot_rows(d_p, d_out, v);
    for (int r = 0; r < kOwnRows; ++r)
      d_p[r] =
          score_gradient(a, row_of_head, first_query + own_row(r), first + lane_of_thread(), score[r] * s.scale, d_p[r])
              .d_score;
    add_weighted_rows(d_q, kKeep, d_p, k, exchange);
  }
  const float scale[kOwnRows] = {s.scale, s.scale, s.scale, s.scale};
  store_own_rows(QkvRows<T>{static_cast<T*>(a.d_qkv), s, sequence}.q(first_query, head), d_q, scale);
}

// blockIdx: tile of keys, kv head, sequence. Query heads of the group and their queries come in ascending order.
template <class T>
__global__ void keys_kernel(AttentionBackwardLaunch a) {
  const AttentionLayout& s = a.layout;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kAttentionTile, kv = blockIdx.y, sequence = blockIdx.z,
                group = s.heads / s.kv_heads;
  const QkvRows<const T> in{static_cast<const T*>(a.qkv), s, sequence};
  SharedSpace space{attention_shared};
  const SharedTile q = space.tile(s.head_dim), k = space.tile(s.head_dim), d_k = space.tile(s.head_dim),
                   v = space.tile(s.value_dim), d_out = space.tile(s.value_dim), d_v = space.tile(s.value_dim),
                   exchange = space.tile(kAttentionTile);
  load_tile(k, in.k(first, kv));
  load_tile(v, in.v(first, kv));
  clear_own_rows(d_k);
  clear_own_rows(d_v);

  constexpr float kKeep[kOwnRows] = {1, 1, 1, 1};
  // The last key of the tile is seen up to window - 1 queries later.
  const int64_t beyond = s.window_keys == 0 ? s.length : first + kAttentionTile - 1 + s.window_keys;
  const int64_t end = beyond < s.length ? beyond : s.length;
  for (int64_t head = kv * group; head < (kv + 1) * group; ++head) {
    const int64_t row_of_head = (sequence * s.heads + head) * s.length;
    for (int64_t first_query = first; first_query < end; first_query += kAttentionTile) {
      __syncthreads();  // queries before may still be being read
      load_tile(q, in.q(first_query, head));
      load_tile(d_out, out_rows(static_cast<const T*>(a.d_out), s, sequence, first_query, head));
      __syncthreads();
      float p[kOwnRows], d_score[kOwnRows];
      dot_rows(p, k, q);
      dot_rows(d_score, v, d_out);
      for (int r = 0; r < kOwnRows; ++r) {
        const ScoreGradient both = score_gradient(a, row_of_head, first_query + lane_of_thread(), first + own_row(r),
                                                  p[r] * s.scale, d_score[r]);
        p[r] = both.p;
        d_score[r] = both.d_score;
      }
      add_weighted_rows(d_v, kKeep, p, d_out, exchange);
      add_weighted_rows(d_k, kKeep, d_score, q, exchange);
    }
  }
  const float scale[kOwnRows] = {s.scale, s.scale, s.scale, s.scale};
  const QkvRows<T> gradient{static_cast<T*>(a.d_qkv), s, sequence};
  store_own_rows(gradient.k(first, kv), d_k, scale);
  store_own_rows(gradient.v(first, kv), d_v, kKeep);
}

// d_sink = - sum over sequences and queries of e^(sink - lse) delta; a block per head.
template <class T, class Out>
__global__ void sinks_kernel(AttentionBackwardLaunch a) {
  const AttentionLayout& s = a.layout;
  const int64_t head = blockIdx.x;
  const float sink = load(static_cast<const T*>(a.sinks) + head);
  float sum = 0;
  for (int64_t sequence = 0; sequence < s.batch; ++sequence) {
    const int64_t row_of_head = (sequence * s.heads + head) * s.length;
    for (int64_t query = threadIdx.x; query < s.length; query += kRowThreads)
      sum += expf(sink - a.lse[row_of_head + query]) * a.delta[row_of_head + query];
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) store(static_cast<Out*>(a.d_sinks) + head, -sum);
}

size_t queries_shared_bytes(const AttentionLayout& s) {
  return sizeof(float) * (3 * SharedTile::floats_of(s.head_dim) + 2 * SharedTile::floats_of(s.value_dim) +
                          SharedTile::floats_of(kAttentionTile));
}

}  // namespace

// The keys' kernel needs the most.
size_t attention_backward_shared_bytes(const AttentionLayout& s) {
  return queries_shared_bytes(s) + sizeof(float) * SharedTile::floats_of(s.value_dim);
}

namespace {

dim3 blocks_per_head(const AttentionLayout& s) {
  return {attention_tiles(s.length), static_cast<unsigned>(s.heads), static_cast<unsigned>(s.batch)};
}

template <class T>
void sum_sinks(const AttentionBackwardLaunch& a, StreamRef stream) {
  visit_storage(a.d_sinks_type, [&]<class Out>() {
    sinks_kernel<T, Out><<<static_cast<unsigned>(a.layout.heads), kRowThreads, 0, stream_of(stream)>>>(a);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace

void launch(const AttentionBackwardLaunch& a, StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  const AttentionLayout& s = a.layout;
  const dim3 per_head = blocks_per_head(s);
  const dim3 per_kv_head(per_head.x, static_cast<unsigned>(s.kv_heads), per_head.z);
  visit_storage(a.type, [&]<class T>() {
    launch_attention(delta_kernel<T>, a, per_head, 0, stream);
    launch_attention(queries_kernel<T>, a, per_head, queries_shared_bytes(s), stream);
    launch_attention(keys_kernel<T>, a, per_kv_head, attention_backward_shared_bytes(s), stream);
    if (a.d_sinks) sum_sinks<T>(a, stream);
  });
}

void launch_sink_gradients(const AttentionBackwardLaunch& a, StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    launch_attention(delta_kernel<T>, a, blocks_per_head(a.layout), 0, stream);
    sum_sinks<T>(a, stream);
  });
}

}  // namespace timetrial::ops::cuda
