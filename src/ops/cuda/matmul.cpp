// Dense products through cuBLASLt, with plans and a workspace kept per stream.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/matmul.h"

#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <vector>

#include "device/cuda/check.h"
#include "ops/cuda/arguments.h"
#include "ops/cuda/bias_kernels.h"

namespace timetrial::ops::cuda {

namespace {

using timetrial::cuda::DeviceScope;

cudaStream_t stream_of(StreamRef stream) { return static_cast<cudaStream_t>(stream.handle); }

void check_cublas(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw Error(fmt::format("{} ({}) in {}", cublasLtGetStatusName(status), cublasLtGetStatusString(status), call));
}

// Owners of cuBLASLt's objects.
template <class Handle, cublasStatus_t (*destroy)(Handle)>
struct Destroy {
  using pointer = Handle;
  void operator()(Handle handle) const { static_cast<void>(destroy(handle)); }
};
using Library = std::unique_ptr<cublasLtHandle_t, Destroy<cublasLtHandle_t, cublasLtDestroy>>;
using Operation = std::unique_ptr<cublasLtMatmulDesc_t, Destroy<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>>;
using Layout = std::unique_ptr<cublasLtMatrixLayout_t, Destroy<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>>;
using Preference =
    std::unique_ptr<cublasLtMatmulPreference_t, Destroy<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>>;

// 32 MiB is what cuBLAS itself takes on Hopper (cuBLAS documentation, cublasSetWorkspace).
constexpr size_t kWorkspaceBytes = size_t{32} << 20;

cudaDataType_t cuda_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return CUDA_R_32F;
    case DType::bf16:
      return CUDA_R_16BF;
    case DType::f64:
    case DType::i32:
    case DType::i64:
      break;
  }
  throw Error(fmt::format("matmul: {} on CUDA is not built", name_of(dtype)));
}

// The largest power of two up to 256 that divides an address.
uint32_t alignment_of(const Tensor& tensor) {
  const auto address = reinterpret_cast<uintptr_t>(tensor.raw());
  return address == 0 ? 256u : static_cast<uint32_t>(std::min<uintptr_t>(address & (~address + 1), 256));
}

// Everything that decides which kernel runs: sizes, types, transposes, bias, alignments.
using Key = std::array<int64_t, 11>;

Key key_of(const Matmul& a) {
  return {a.a.dim(0),
          a.a.dim(1),
          a.c.dim(0),
          a.c.dim(1),
          static_cast<int64_t>(a.a.dtype()),
          static_cast<int64_t>(a.c.dtype()),
          (a.transpose_a ? 1 : 0) | (a.transpose_b ? 2 : 0) | (a.accumulate ? 4 : 0) | (a.bias ? 8 : 0),
          alignment_of(a.a),
          alignment_of(a.b),
          alignment_of(a.c),
          alignment_of(a.bias)};
}

// cuBLASLt counts columns first. A row-major c = op(a) op(b) is asked for as c^T = op(b)^T op(a)^T: every row-major
// (r, s) tensor is a column-major (s, r) matrix with leading dimension s.
Layout layout_of(const Tensor& tensor) {
  cublasLtMatrixLayout_t layout = nullptr;
  check_cublas(cublasLtMatrixLayoutCreate(&layout, cuda_type(tensor.dtype()), static_cast<uint64_t>(tensor.dim(1)),
                                          static_cast<uint64_t>(tensor.dim(0)), tensor.dim(1)),
               "cublasLtMatrixLayoutCreate");
  return Layout(layout);
}

// A product's descriptors and the algorithm that cuBLASLt's heuristic chose for it.
struct Plan {
  Operation operation;
  Layout a, b, c;
  cublasLtMatmulAlgo_t algorithm;

  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) const {
    check_cublas(cublasLtMatmulDescSetAttribute(operation.get(), attribute, &value, sizeof value),
                 "cublasLtMatmulDescSetAttribute");
  }
  void set_bias(const Tensor& bias) const { set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.raw()); }
};

Preference preference_of(const Matmul& a) {
  cublasLtMatmulPreference_t raw = nullptr;
  check_cublas(cublasLtMatmulPreferenceCreate(&raw), "cublasLtMatmulPreferenceCreate");
  Preference preference(raw);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    check_cublas(cublasLtMatmulPreferenceSetAttribute(raw, attribute, &value, sizeof value),
                 "cublasLtMatmulPreferenceSetAttribute");
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
  // cuBLASLt's first operand is our b.
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(a.b));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(a.a));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(a.c));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(a.c));
  return preference;
}

Plan make_plan(const Matmul& a, cublasLtHandle_t library) {
  cublasLtMatmulDesc_t raw = nullptr;
  // Sums in fp32 for both types; fp32 products are not rounded to TF32.
  check_cublas(cublasLtMatmulDescCreate(&raw, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  Plan plan{Operation(raw), layout_of(a.a), layout_of(a.b), layout_of(a.c), {}};
  plan.set(CUBLASLT_MATMUL_DESC_TRANSA, a.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  plan.set(CUBLASLT_MATMUL_DESC_TRANSB, a.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (a.bias) {
    plan.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    plan.set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, cuda_type(a.bias.dtype()));
    plan.set_bias(a.bias);
  }
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  check_cublas(cublasLtMatmulAlgoGetHeuristic(library, raw, plan.b.get(), plan.a.get(), plan.c.get(), plan.c.get(),
                                              preference_of(a).get(), 1, &result, &found),
               "cublasLtMatmulAlgoGetHeuristic");
  TIMETRIAL_CHECK(found == 1, "cuBLASLt knows no way to make c {} {} from a {} and b {} {}", a.c.shape(),
                  name_of(a.c.dtype()), a.a.shape(), a.b.shape(), name_of(a.a.dtype()));
  plan.algorithm = result.algo;
  return plan;
}

// What products on one stream need and keep: a workspace that no other stream may touch, and the plans made so far.
// The workspace is taken at a stream's first product, which is therefore not to be captured into a graph.
class StreamProducts {
 public:
  explicit StreamProducts(StreamRef stream) : stream_(stream), workspace_(stream.device, kWorkspaceBytes) {
    cublasLtHandle_t raw = nullptr;
    check_cublas(cublasLtCreate(&raw), "cublasLtCreate");
    library_.reset(raw);
  }

  bool serves(StreamRef stream) const { return stream.device == stream_.device && stream.handle == stream_.handle; }

  void run(const Matmul& a) {
    const Key key = key_of(a);
    auto found = plans_.find(key);
    if (found == plans_.end()) found = plans_.emplace(key, make_plan(a, library_.get())).first;
    const Plan& plan = found->second;
    if (a.bias) plan.set_bias(a.bias);
    const float alpha = 1, beta = a.accumulate ? 1 : 0;
    check_cublas(cublasLtMatmul(library_.get(), plan.operation.get(), &alpha, a.b.raw(), plan.b.get(), a.a.raw(),
                                plan.a.get(), &beta, a.c.raw(), plan.c.get(), a.c.raw(), plan.c.get(), &plan.algorithm,
                                workspace_.data(), kWorkspaceBytes, stream_of(stream_)),
                 "cublasLtMatmul");
  }

 private:
  StreamRef stream_;
  Buffer workspace_;
  Library library_;
  std::map<Key, Plan> plans_;
};

StreamProducts& products_of(StreamRef stream) {
  // One per stream of the calling thread: calls on a stream come from one thread at a time, so nothing here is shared
  // between threads, and the owner goes with its thread.
  thread_local std::vector<std::unique_ptr<StreamProducts>> owned;
  for (const auto& products : owned)
    if (products->serves(stream)) return *products;
  return *owned.emplace_back(std::make_unique<StreamProducts>(stream));
}

// The product of no terms: c keeps its values or becomes zero, then the bias.
void without_terms(const Matmul& a, StreamRef stream) {
  if (!a.accumulate) fill_zero(a.c.raw(), a.c.bytes(), stream);
  if (!a.bias) return;
  launch(
      AddToRowsLaunch{
          .c = a.c.raw(), .bias = a.bias.raw(), .rows = a.c.dim(0), .columns = a.c.dim(1), .type = a.c.dtype()},
      stream);
}

}  // namespace

void matmul(const Matmul& a, StreamRef stream) {
  check_storage("matmul", {a.a.dtype(), a.c.dtype()});
  if (a.c.elements() == 0) return;
  const DeviceScope scope(stream.device.index);
  if (a.a.elements() == 0) return without_terms(a, stream);
  products_of(stream).run(a);
}

void bias_backward(const BiasBackward& a, StreamRef stream) {
  check_storage("bias_backward", {a.d_out.dtype(), a.d_bias.dtype()});
  launch(BiasBackwardLaunch{.d_bias = a.d_bias.raw(),
                            .d_out = a.d_out.raw(),
                            .rows = a.d_out.dim(0),
                            .columns = a.d_out.dim(1),
                            .type = a.d_out.dtype(),
                            .bias_type = a.d_bias.dtype()},
         stream);
}

}  // namespace timetrial::ops::cuda
