// Small fp32 products through the matrix library, on sub-blocks of row-major tensors.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <oneapi/dnnl/dnnl.h>

#include <cstdint>

namespace timetrial::ops::cpu {

struct Matrix {
  const float* data;
  int64_t stride;  // elements between rows as stored
  bool transposed = false;
};

// c (m, n) = alpha * a (m, k) b (k, n) + beta * c. Inside a parallel region it runs on the calling thread. False when
// the library refuses, because an exception could not leave that region.
struct Sgemm {
  float* c;
  int64_t c_stride;
  Matrix a, b;
  int64_t m, n, k;
  float alpha = 1, beta = 0;
};
[[nodiscard]] inline bool sgemm(const Sgemm& g) {
  return dnnl_sgemm(g.a.transposed ? 'T' : 'N', g.b.transposed ? 'T' : 'N', g.m, g.n, g.k, g.alpha, g.a.data,
                    g.a.stride, g.b.data, g.b.stride, g.beta, g.c, g.c_stride) == dnnl_success;
}

}  // namespace timetrial::ops::cpu
