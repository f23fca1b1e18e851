// cuBLASLt on the emulated device: column-major products in fp32 by oneDNN, the epilogues that this project asks for,
// and the promises that a chosen algorithm rests on. SPDX-License-Identifier: Apache-2.0
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <dnnl.h>

#include <cstring>
#include <vector>

#include "emulation/device.h"

struct cublasLtContext {};
struct cublasLtMatmulDescOpaque_t {
  cublasOperation_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* bias = nullptr;
  cudaDataType_t bias_type = CUDA_R_32F;
};
struct cublasLtMatrixLayoutOpaque_t {
  cudaDataType_t type;
  uint64_t rows, columns;
  int64_t leading;
};
struct cublasLtMatmulPreferenceOpaque_t {
  uint64_t workspace = 0;
  uint32_t align_a = 256, align_b = 256, align_c = 256, align_d = 256;
};

namespace {

using timetrial::emulation::EmulatedDevice;
using timetrial::emulation::MemoryKind;

// What an algorithm was chosen for, kept in its opaque words; a call that breaks it would be wrong on a GPU.
struct Promise {
  uint64_t workspace;
  uint32_t align_a, align_b, align_c, align_d;
};
static_assert(sizeof(Promise) <= sizeof(cublasLtMatmulAlgo_t));

size_t size_of(cudaDataType_t type) { return type == CUDA_R_32F ? sizeof(float) : sizeof(__nv_bfloat16); }

bool aligned(const void* data, uint32_t to) { return reinterpret_cast<uintptr_t>(data) % to == 0; }

float read(const void* data, cudaDataType_t type, size_t at) {
  return type == CUDA_R_32F ? static_cast<const float*>(data)[at]
                            : __bfloat162float(static_cast<const __nv_bfloat16*>(data)[at]);
}

void write(void* data, cudaDataType_t type, size_t at, float value) {
  if (type == CUDA_R_32F)
    static_cast<float*>(data)[at] = value;
  else
    static_cast<__nv_bfloat16*>(data)[at] = __float2bfloat16_rn(value);
}

using Layout = cublasLtMatrixLayoutOpaque_t;

// A column-major matrix in device memory.
struct Matrix {
  void* data;
  Layout layout;

  size_t bytes() const { return static_cast<size_t>(layout.leading) * layout.columns * size_of(layout.type); }
  bool on_device() const {
    const auto& memory = EmulatedDevice::get().memory();
    return memory.kind_of(data) == MemoryKind::device && memory.holds(data, bytes());
  }
  std::vector<float> values() const {
    std::vector<float> all(layout.rows * layout.columns);
    for (size_t j = 0; j < layout.columns; ++j)
      for (size_t i = 0; i < layout.rows; ++i)
        all[j * layout.rows + i] = read(data, layout.type, j * static_cast<size_t>(layout.leading) + i);
    return all;
  }
};

struct Product {
  cublasLtMatmulDescOpaque_t desc;
  float alpha, beta;
  Matrix a, b, c;  // c is d
  uint64_t m, n, k;

  void run() const {
    const std::vector<float> left = a.values(), right = b.values();
    // With no weight the old values are not read: they may be NaN.
    std::vector<float> out = beta == 0 ? std::vector<float>(m * n) : c.values();
    // dnnl_sgemm counts rows first: the transposed product of the transposed matrices is the same memory.
    const auto rows = [](const Matrix& x) { return static_cast<dnnl_dim_t>(x.layout.rows); };
    dnnl_sgemm(desc.transpose_b == CUBLAS_OP_T ? 'T' : 'N', desc.transpose_a == CUBLAS_OP_T ? 'T' : 'N',
               static_cast<dnnl_dim_t>(n), static_cast<dnnl_dim_t>(m), static_cast<dnnl_dim_t>(k), alpha, right.data(),
               rows(b), left.data(), rows(a), beta, out.data(), static_cast<dnnl_dim_t>(m));
    const bool adds_bias = desc.epilogue == CUBLASLT_EPILOGUE_BIAS;
    for (size_t j = 0; j < n; ++j)
      for (size_t i = 0; i < m; ++i)
        write(c.data, c.layout.type, j * static_cast<size_t>(c.layout.leading) + i,
              out[j * m + i] + (adds_bias ? read(desc.bias, desc.bias_type, i) : 0.0F));
    if (desc.epilogue != CUBLASLT_EPILOGUE_BGRADB) return;
    // Sums of op(b) over k, one per column of d.
    for (size_t j = 0; j < n; ++j) {
      float sum = 0;
      for (size_t l = 0; l < k; ++l)
        sum += desc.transpose_b == CUBLAS_OP_T ? right[l * b.layout.rows + j] : right[j * b.layout.rows + l];
      write(desc.bias, desc.bias_type, j, sum);
    }
  }
};

template <class T>
cublasStatus_t make(T** made, const T& value) {
  *made = new T(value);
  return CUBLAS_STATUS_SUCCESS;
}
template <class T>
cublasStatus_t drop(T* made) {
  delete made;
  return CUBLAS_STATUS_SUCCESS;
}
template <class T>
cublasStatus_t take(T& into, const void* value, size_t bytes) {
  if (bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&into, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

// Whether the sizes belong together; m, n, k when they do.
bool sizes(const cublasLtMatmulDescOpaque_t& desc, const Layout& a, const Layout& b, const Layout& c, Product& out) {
  const bool ta = desc.transpose_a == CUBLAS_OP_T, tb = desc.transpose_b == CUBLAS_OP_T;
  out.m = ta ? a.columns : a.rows;
  out.k = ta ? a.rows : a.columns;
  out.n = tb ? b.rows : b.columns;
  if ((tb ? b.columns : b.rows) != out.k || c.rows != out.m || c.columns != out.n) return false;
  for (const Layout* x : {&a, &b, &c})
    if (x->leading < static_cast<int64_t>(x->rows) || x->rows == 0 || x->columns == 0) return false;
  return a.type == b.type;
}

}  // namespace

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "unknown status";
}
const char* cublasLtGetStatusString(cublasStatus_t) { return "emulated cuBLASLt"; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) { return make(handle, cublasLtContext{}); }
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { return drop(handle); }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* made, cublasComputeType_t, cudaDataType_t scale) {
  if (scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  return make(made, cublasLtMatmulDescOpaque_t{});
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) { return drop(desc); }
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return take(desc->transpose_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return take(desc->transpose_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return take(desc->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return take(desc->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return take(desc->bias_type, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* made, cudaDataType_t type, uint64_t rows,
                                          uint64_t columns, int64_t leading_dimension) {
  return make(made, Layout{type, rows, columns, leading_dimension});
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { return drop(layout); }

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* made) {
  return make(made, cublasLtMatmulPreferenceOpaque_t{});
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) { return drop(preference); }
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                                    size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return take(preference->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return CUBLAS_STATUS_SUCCESS;  // no sum is split here
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return take(preference->align_a, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return take(preference->align_b, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return take(preference->align_c, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return take(preference->align_d, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

// The heuristic has nothing for column sums of operands that begin at no multiple of 16 bytes: real ones refuse some
// products too, and both ways around that have to be walked.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                              cublasLtMatrixLayout_t, cublasLtMatmulPreference_t preference, int,
                                              cublasLtMatmulHeuristicResult_t* results, int* found) {
  *found = 0;
  Product product{};
  if (!sizes(*desc, *a, *b, *c, product)) return CUBLAS_STATUS_INVALID_VALUE;
  if (desc->epilogue == CUBLASLT_EPILOGUE_BGRADB && (preference->align_a < 16 || preference->align_b < 16))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  const Promise promise{preference->workspace, preference->align_a, preference->align_b, preference->align_c,
                        preference->align_d};
  results[0] = {.algo = {}, .workspaceSize = 0, .state = CUBLAS_STATUS_SUCCESS};
  std::memcpy(&results[0].algo, &promise, sizeof promise);
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
  EmulatedDevice& device = EmulatedDevice::get();
  Product product{.desc = *desc,
                  .alpha = *static_cast<const float*>(alpha),
                  .beta = *static_cast<const float*>(beta),
                  .a = {const_cast<void*>(a), *a_layout},
                  .b = {const_cast<void*>(b), *b_layout},
                  .c = {d, *d_layout},
                  .m = 0,
                  .n = 0,
                  .k = 0};
  Promise promise{};
  std::memcpy(&promise, algorithm, sizeof promise);
  const bool kept = aligned(a, promise.align_a) && aligned(b, promise.align_b) && aligned(c, promise.align_c) &&
                    aligned(d, promise.align_d) && aligned(workspace, 256) && workspace_bytes >= promise.workspace;
  if (!kept || c != d || c_layout != d_layout || !sizes(*desc, *a_layout, *b_layout, *d_layout, product))
    return CUBLAS_STATUS_INVALID_VALUE;
  const cudaError_t code = device.guarded([&] {
    if (!product.a.on_device() || !product.b.on_device() || !product.c.on_device()) return cudaErrorInvalidValue;
    ++device.counts().products;
    device.queue(stream, [product] { product.run(); });
    return cudaSuccess;
  });
  return code == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
