// Dense products through cuBLASLt. Plans are kept by the caller's Libraries; the workspace is the caller's too.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/matmul.h"

#include <cublasLt.h>

#include <memory>
#include <optional>

#include "device/cuda/check.h"
#include "ops/cuda/arguments.h"
#include "ops/cuda/bias_kernels.h"
#include "ops/matmul_key.h"
#include "ops/plan_cache.h"
#include "timetrial/ops/libraries.h"

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
  bool sums_columns;  // the product writes the column sums of a as well

  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) const {
    check_cublas(cublasLtMatmulDescSetAttribute(operation.get(), attribute, &value, sizeof value),
                 "cublasLtMatmulDescSetAttribute");
  }
  // The address that an epilogue reads a bias from, or writes column sums to.
  void set_bias(const void* bias) const { set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias); }
};

// The caller's workspace: room for column sums first where they are wanted, the rest for the library.
struct Workspace {
  explicit Workspace(const Matmul& a, bool sums_columns)
      : data(a.workspace ? static_cast<std::byte*>(a.workspace.raw()) : nullptr),
        bytes(a.workspace ? a.workspace.bytes() : 0) {
    // cublasLtMatmul wants the lowest eight bits of the address to be 0.
    TIMETRIAL_CHECK(reinterpret_cast<uintptr_t>(data) % kArenaAlignment == 0,
                    "matmul: the workspace is not aligned to {} bytes", kArenaAlignment);
    if (!sums_columns) return;
    const size_t taken = bytes_of_sums(a);
    sums = data;
    data += taken;
    bytes -= taken;
  }
  static size_t bytes_of_sums(const Matmul& a) { return arena_bytes(static_cast<size_t>(a.c.dim(0)) * sizeof(float)); }
  std::byte* data;
  size_t bytes;
  void* sums = nullptr;
};

Preference preference_of(const Matmul& a, size_t workspace_bytes) {
  cublasLtMatmulPreference_t raw = nullptr;
  check_cublas(cublasLtMatmulPreferenceCreate(&raw), "cublasLtMatmulPreferenceCreate");
  Preference preference(raw);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    check_cublas(cublasLtMatmulPreferenceSetAttribute(raw, attribute, &value, sizeof value),
                 "cublasLtMatmulPreferenceSetAttribute");
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
  // Parts of a sum that is split over blocks stay in fp32, whatever the product is stored in.
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  // cuBLASLt's first operand is our b.
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(a.b));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(a.a));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(a.c));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(a.c));
  return preference;
}

// Nothing when cuBLASLt has no kernel for this product with these epilogues.
std::optional<Plan> find_plan(const Matmul& a, bool sums_columns, cublasLtHandle_t library) {
  const Workspace workspace(a, sums_columns);
  cublasLtMatmulDesc_t raw = nullptr;
  // Sums in fp32 for both types; fp32 products are not rounded to TF32.
  check_cublas(cublasLtMatmulDescCreate(&raw, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  Plan plan{Operation(raw), layout_of(a.a), layout_of(a.b), layout_of(a.c), {}, sums_columns};
  plan.set(CUBLASLT_MATMUL_DESC_TRANSA, a.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  plan.set(CUBLASLT_MATMUL_DESC_TRANSB, a.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (a.bias) {
    plan.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    plan.set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, cuda_type(a.bias.dtype()));
    plan.set_bias(a.bias.raw());
  }
  if (sums_columns) {
    // cuBLASLt's second operand is our a: sums over the terms of the product, one per column of its result.
    plan.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BGRADB);
    plan.set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUDA_R_32F);
    plan.set_bias(workspace.sums);
  }
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(library, raw, plan.b.get(), plan.a.get(), plan.c.get(), plan.c.get(),
                                     preference_of(a, workspace.bytes).get(), 1, &result, &found);
  const bool refused = status == CUBLAS_STATUS_NOT_SUPPORTED || (sums_columns && status == CUBLAS_STATUS_INVALID_VALUE);
  if (refused || (status == CUBLAS_STATUS_SUCCESS && found == 0)) return std::nullopt;
  check_cublas(status, "cublasLtMatmulAlgoGetHeuristic");
  check_cublas(result.state, "cublasLtMatmulAlgoGetHeuristic");
  plan.algorithm = result.algo;
  return plan;
}

// Column sums come with the product where they are fp32 and the workspace has room; elsewhere they are a pass of their
// own.
bool may_sum_columns(const Matmul& a) {
  return a.d_bias && a.d_bias.dtype() == DType::f32 && a.c.dtype() == DType::f32 && a.workspace &&
         a.workspace.bytes() >= Workspace::bytes_of_sums(a);
}

Plan make_plan(const Matmul& a, cublasLtHandle_t library) {
  std::optional<Plan> plan;
  if (may_sum_columns(a)) plan = find_plan(a, true, library);
  if (!plan) plan = find_plan(a, false, library);
  TIMETRIAL_CHECK(plan, "cuBLASLt knows no way to make c {} {} from a {} and b {} {}", a.c.shape(),
                  name_of(a.c.dtype()), a.a.shape(), a.b.shape(), name_of(a.a.dtype()));
  return std::move(*plan);
}

// cuBLASLt's handle and every plan made so far. A handle serves the device that was current when it was made.
class Products {
 public:
  void run(const Matmul& a, StreamRef stream) {
    cublasLtHandle_t library = handle(stream.device.index);
    const Plan& plan = plans_.get(key_of(a), [&] { return make_plan(a, library); });
    const Workspace workspace(a, plan.sums_columns);
    if (a.bias) plan.set_bias(a.bias.raw());
    if (plan.sums_columns) plan.set_bias(workspace.sums);
    const float alpha = 1, beta = a.accumulate ? 1 : 0;
    check_cublas(cublasLtMatmul(library, plan.operation.get(), &alpha, a.b.raw(), plan.b.get(), a.a.raw(), plan.a.get(),
                                &beta, a.c.raw(), plan.c.get(), a.c.raw(), plan.c.get(), &plan.algorithm,
                                workspace.data, workspace.bytes, stream_of(stream)),
                 "cublasLtMatmul");
    if (!a.d_bias) return;
    if (!plan.sums_columns) return bias_backward({.d_bias = a.d_bias, .d_out = a.a, .workspace = a.workspace}, stream);
    launch(
        AddToRowsLaunch{
            .c = a.d_bias.raw(), .bias = workspace.sums, .rows = 1, .columns = a.c.dim(0), .type = DType::f32},
        stream);
  }

 private:
  cublasLtHandle_t handle(int device) {
    return libraries_
        .get(device,
             [] {
               cublasLtHandle_t raw = nullptr;
               check_cublas(cublasLtCreate(&raw), "cublasLtCreate");
               return Library(raw);
             })
        .get();
  }

  PlanCache<int, Library> libraries_;
  PlanCache<MatmulKey, Plan> plans_;
};

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
  if (a.c.elements() == 0) {
    if (a.d_bias && a.d_bias.elements() > 0)
      bias_backward({.d_bias = a.d_bias, .d_out = a.a, .workspace = a.workspace}, stream);
    return;
  }
  const DeviceScope scope(stream.device.index);
  if (a.a.elements() == 0) return without_terms(a, stream);
  if (a.libraries) return a.libraries->state<Products>().run(a, stream);
  Products once;
  once.run(a, stream);
  TIMETRIAL_CUDA(cudaStreamSynchronize(stream_of(stream)));  // the handle goes now
}

void bias_backward(const BiasBackward& a, StreamRef stream) {
  check_storage("bias_backward", {a.d_out.dtype(), a.d_bias.dtype()});
  launch(BiasBackwardLaunch{.d_bias = a.d_bias.raw(),
                            .d_out = a.d_out.raw(),
                            .rows = a.d_out.dim(0),
                            .columns = a.d_out.dim(1),
                            .type = a.d_out.dtype(),
                            .bias_type = a.d_bias.dtype(),
                            .scratch = scratch_of(a.workspace)},
         stream);
}

}  // namespace timetrial::ops::cuda
