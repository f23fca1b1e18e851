// Which library multiplies small fp32 matrices faster on this CPU, OpenBLAS or oneDNN: same shapes, one run, in turns.
// SPDX-License-Identifier: Apache-2.0
//
// Build and run (Debian: libopenblas-openmp-dev libdnnl-dev):
//   g++ -O2 -fopenmp gemm_libraries.cpp -o gemm -lopenblas -ldnnl && ./gemm
#include <cblas.h>
#include <dnnl.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

namespace {

struct Product {
  int m, n, k;
};

// Shapes of the small workloads: projections, head, experts, attention blocks.
constexpr Product kProducts[] = {{4096, 384, 192}, {4096, 192, 192},  {4096, 1024, 96}, {1024, 96, 192},
                                 {512, 192, 384},  {4096, 4096, 192}, {256, 71, 16},    {256, 256, 32}};
constexpr int kRounds = 9;

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

int main() {
  std::printf("%d threads, OpenBLAS core %s; c = a b^T, best of %d rounds\n", omp_get_max_threads(),
              openblas_get_corename(), kRounds);
  std::printf("%6s %6s %6s %12s %12s %8s\n", "m", "n", "k", "OpenBLAS", "oneDNN", "ratio");
  for (const auto [m, n, k] : kProducts) {
    std::vector<float> a(static_cast<size_t>(m) * k, 1.0f), b(static_cast<size_t>(n) * k, 1.0f),
        c(static_cast<size_t>(m) * n);
    const double flops = 2.0 * m * n * k;
    const int repeats = 1 + static_cast<int>(2e8 / flops);
    double best[2] = {1e9, 1e9};
    for (int round = 0; round < kRounds; ++round)
      for (int library = 0; library < 2; ++library) {
        const double start = seconds();
        for (int i = 0; i < repeats; ++i) {
          if (library == 0)
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1, a.data(), k, b.data(), k, 0, c.data(), n);
          else
            dnnl_sgemm('N', 'T', m, n, k, 1, a.data(), k, b.data(), k, 0, c.data(), n);
        }
        best[library] = std::min(best[library], (seconds() - start) / repeats);
      }
    std::printf("%6d %6d %6d %7.1f GF/s %7.1f GF/s %8.2f\n", m, n, k, flops / best[0] / 1e9, flops / best[1] / 1e9,
                best[0] / best[1]);
  }
}
