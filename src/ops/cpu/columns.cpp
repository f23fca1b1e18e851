// Row by row copies.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/columns.h"

#include <algorithm>

#include "ops/cpu/parallel.h"

namespace timetrial::ops::cpu {

template <class T>
void split_columns(const SplitColumns& a) {
  const int64_t left = a.left.dim(1), right = a.right.dim(1), width = left + right;
  const T* x = a.x.data<T>();
  T *to_left = a.left.data<T>(), *to_right = a.right.data<T>();
  parallel_ranges(a.x.dim(0), width, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      std::copy_n(x + row * width, left, to_left + row * left);
      std::copy_n(x + row * width + left, right, to_right + row * right);
    }
  });
}

template <class T>
void join_columns(const JoinColumns& a) {
  const int64_t left = a.left.dim(1), right = a.right.dim(1), width = left + right;
  const T *from_left = a.left.data<T>(), *from_right = a.right.data<T>();
  T* out = a.out.data<T>();
  parallel_ranges(a.out.dim(0), width, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      std::copy_n(from_left + row * left, left, out + row * width);
      std::copy_n(from_right + row * right, right, out + row * width + left);
    }
  });
}

template void split_columns<float>(const SplitColumns&);
template void split_columns<double>(const SplitColumns&);
template void join_columns<float>(const JoinColumns&);
template void join_columns<double>(const JoinColumns&);

}  // namespace timetrial::ops::cpu
