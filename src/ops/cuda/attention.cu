// Attention forward: a block per 32 queries of a head walks the keys they see, softmax as it goes.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/attention_tile.cuh"

namespace timetrial::ops::cuda {

namespace {

// blockIdx: tile of queries, head, sequence.
template <class T>
__global__ void forward_kernel(AttentionForwardLaunch a) {
  const AttentionLayout& s = a.layout;
  const int64_t first_query = static_cast<int64_t>(blockIdx.x) * kAttentionTile, head = blockIdx.y,
                sequence = blockIdx.z, kv = head / (s.heads / s.kv_heads);
  const QkvRows<const T> in{static_cast<const T*>(a.qkv), s, sequence};
  SharedSpace space{attention_shared};
  const SharedTile q = space.tile(s.head_dim), k = space.tile(s.head_dim), v = space.tile(s.value_dim),
                   out = space.tile(s.value_dim), exchange = space.tile(kAttentionTile);
  load_tile(q, in.q(first_query, head));
  clear_own_rows(out);

  // The sink is a logit without a value, so it is where maximum and sum begin.
  float most[kOwnRows], sum[kOwnRows];
  for (int r = 0; r < kOwnRows; ++r) {
    most[r] = a.sinks ? load(static_cast<const T*>(a.sinks) + head) : -INFINITY;
    sum[r] = a.sinks ? 1.0f : 0.0f;
  }
  const int64_t last_query = first_query + kAttentionTile < s.length ? first_query + kAttentionTile : s.length;
  for (int64_t first = first_key(s, first_query); first < last_query; first += kAttentionTile) {
    __syncthreads();  // keys and values before may still be being read
    load_tile(k, in.k(first, kv));
    load_tile(v, in.v(first, kv));
    __syncthreads();
    float weight[kOwnRows], correction[kOwnRows];
    dot_rows(weight, q, k);
    for (int r = 0; r < kOwnRows; ++r) {
      const bool visible = sees(s, first_query + own_row(r), first + lane_of_thread());
      const float score = visible ? weight[r] * s.scale : -INFINITY;
      const float larger = fmaxf(most[r], warp_max(score));
      const float base = larger == -INFINITY ? 0.0f : larger;  // no key seen yet
      weight[r] = expf(score - base);
      correction[r] = expf(most[r] - base);
      sum[r] = sum[r] * correction[r] + warp_sum(weight[r]);
      most[r] = larger;
    }
    add_weighted_rows(out, correction, weight, v, exchange);
  }

  float inverse[kOwnRows];
  for (int r = 0; r < kOwnRows; ++r) {
    const int64_t query = first_query + own_row(r);
    inverse[r] = 1 / sum[r];
    if (query < s.length && lane_of_thread() == 0)
      a.lse[(sequence * s.heads + head) * s.length + query] = most[r] + logf(sum[r]);
  }
  store_own_rows(out_rows(static_cast<T*>(a.out), s, sequence, first_query, head), out, inverse);
}

template <class T>
__global__ void widen_kernel(float* out, const T* sinks, int64_t heads) {
  for (int64_t i = threadIdx.x; i < heads; i += blockDim.x) out[i] = load(sinks + i);
}

}  // namespace

size_t attention_forward_shared_bytes(const AttentionLayout& s) {
  return sizeof(float) * (2 * SharedTile::floats_of(s.head_dim) + 2 * SharedTile::floats_of(s.value_dim) +
                          SharedTile::floats_of(kAttentionTile));
}

void launch(const AttentionForwardLaunch& a, StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  const AttentionLayout& s = a.layout;
  const dim3 blocks(attention_tiles(s.length), static_cast<unsigned>(s.heads), static_cast<unsigned>(s.batch));
  visit_storage(a.type, [&]<class T>() {
    launch_attention(forward_kernel<T>, a, blocks, attention_forward_shared_bytes(s), stream);
  });
}

void launch(const WidenSinksLaunch& a, StreamRef stream) {
  const DeviceScope scope(stream.device.index);
  visit_storage(a.type, [&]<class T>() {
    widen_kernel<<<1, kAttentionThreads, 0, stream_of(stream)>>>(a.out, static_cast<const T*>(a.sinks), a.heads);
  });
  TIMETRIAL_CUDA(cudaGetLastError());
}

}  // namespace timetrial::ops::cuda
