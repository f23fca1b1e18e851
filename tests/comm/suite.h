// What every communicator must do, for any number of ranks; each function is run by every rank of a world.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "timetrial/comm/bootstrap.h"

namespace timetrial::testing {

struct Party {
  comm::Communicator& world;
  StreamRef stream;
  comm::On on(std::string_view purpose) const { return {stream, purpose}; }
};

using RankBody = std::function<void(comm::Bootstrap&)>;

inline const std::vector<int64_t>& element_counts() {
  static const std::vector<int64_t> counts{0, 1, 3, 64, 65, 1000, 100003};
  return counts;
}

inline const std::vector<DType>& element_types() {
  static const std::vector<DType> types{DType::f32, DType::f64, DType::bf16, DType::i32, DType::i64};
  return types;
}

// Whole numbers below 8: sums over 7 ranks stay below 64, so every type, bf16 too, holds them exactly.
inline double value(int rank, int64_t index) { return static_cast<double>((index * 7 + rank * 3) % 8); }

inline std::vector<double> read(const Tensor& tensor, StreamRef stream) {
  if (tensor.dtype() == DType::i32 || tensor.dtype() == DType::i64) {
    std::vector<std::byte> bytes(tensor.bytes());
    copy_bytes(bytes.data(), {}, tensor.raw(), tensor.device(), tensor.bytes(), stream);
    std::vector<double> values;
    for (int64_t i = 0; i < tensor.elements(); ++i)
      values.push_back(tensor.dtype() == DType::i32
                           ? static_cast<double>(reinterpret_cast<const int32_t*>(bytes.data())[i])
                           : static_cast<double>(reinterpret_cast<const int64_t*>(bytes.data())[i]));
    return values;
  }
  return to_host(tensor, stream);
}

inline OwnedTensor filled(DType dtype, int64_t count, StreamRef stream, const std::function<double(int64_t)>& f) {
  OwnedTensor tensor(dtype, {count}, stream.device);
  std::vector<double> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) values[static_cast<size_t>(i)] = f(i);
  if (dtype == DType::i32) {
    const std::vector<int32_t> whole(values.begin(), values.end());
    copy_bytes(tensor.view().raw(), stream.device, whole.data(), {}, tensor.view().bytes(), stream);
  } else if (dtype == DType::i64) {
    const std::vector<int64_t> whole(values.begin(), values.end());
    copy_bytes(tensor.view().raw(), stream.device, whole.data(), {}, tensor.view().bytes(), stream);
  } else {
    from_host(tensor, values, stream);
  }
  return tensor;
}

// One assertion for a whole tensor: gtest's are slow for a hundred thousand elements.
inline void expect_values(const std::vector<double>& got, const std::function<double(int64_t)>& expected,
                          const std::string& what) {
  for (size_t i = 0; i < got.size(); ++i) {
    if (got[i] == expected(static_cast<int64_t>(i))) continue;
    ADD_FAILURE() << what << ": element " << i << " is " << got[i] << ", expected "
                  << expected(static_cast<int64_t>(i));
    return;
  }
}

inline std::string case_text(const Party& p, DType dtype, int64_t count) {
  return fmt::format("rank {} of {}, {} {}", p.world.rank(), p.world.size(), count, name_of(dtype));
}

inline void check_all_reduce(const Party& p) {
  const int ranks = p.world.size();
  for (const DType dtype : element_types()) {
    for (const int64_t count : element_counts()) {
      const auto mine = [&](int64_t i) { return value(p.world.rank(), i); };
      const OwnedTensor sum = filled(dtype, count, p.stream, mine), most = filled(dtype, count, p.stream, mine);
      p.world.all_reduce(sum, p.on("sum"));
      p.world.all_reduce(most, p.on("maximum"), comm::Reduction::max);
      p.world.wait(p.stream);
      expect_values(
          read(sum, p.stream),
          [&](int64_t i) {
            double total = 0;
            for (int rank = 0; rank < ranks; ++rank) total += value(rank, i);
            return total;
          },
          "sum, " + case_text(p, dtype, count));
      expect_values(
          read(most, p.stream),
          [&](int64_t i) {
            double highest = 0;
            for (int rank = 0; rank < ranks; ++rank) highest = std::max(highest, value(rank, i));
            return highest;
          },
          "maximum, " + case_text(p, dtype, count));
    }
  }
}

inline void check_reduce_scatter(const Party& p, bool in_place) {
  const int ranks = p.world.size(), me = p.world.rank();
  for (const DType dtype : element_types()) {
    for (const int64_t count : element_counts()) {
      const OwnedTensor in = filled(dtype, count * ranks, p.stream, [&](int64_t i) { return value(me, i); });
      const OwnedTensor apart(dtype, {count}, p.stream.device);
      const Tensor out = in_place ? in.view().rows(me * count, (me + 1) * count) : apart.view();
      p.world.reduce_scatter(out, in, p.on("pieces"));
      p.world.wait(p.stream);
      expect_values(
          read(out, p.stream),
          [&](int64_t i) {
            double total = 0;
            for (int rank = 0; rank < ranks; ++rank) total += value(rank, me * count + i);
            return total;
          },
          case_text(p, dtype, count));
    }
  }
}

inline void check_all_gather(const Party& p, bool in_place) {
  const int ranks = p.world.size(), me = p.world.rank();
  for (const DType dtype : element_types()) {
    for (const int64_t count : element_counts()) {
      const OwnedTensor apart = filled(dtype, count, p.stream, [&](int64_t i) { return value(me, i); });
      const OwnedTensor out(dtype, {count * ranks}, p.stream.device);
      const Tensor piece = out.view().rows(me * count, (me + 1) * count);
      if (in_place)
        copy_bytes(piece.raw(), piece.device(), apart.view().raw(), piece.device(), piece.bytes(), p.stream);
      p.world.all_gather(out, in_place ? piece : apart.view(), p.on("pieces"));
      p.world.wait(p.stream);
      expect_values(
          read(out, p.stream),
          [&](int64_t i) {
            return value(static_cast<int>(i / std::max<int64_t>(count, 1)), i % std::max<int64_t>(count, 1));
          },
          case_text(p, dtype, count));
    }
  }
}

inline void check_broadcast(const Party& p) {
  for (const DType dtype : element_types()) {
    for (const int64_t count : element_counts()) {
      const int root = static_cast<int>(count % p.world.size());
      const OwnedTensor x = filled(dtype, count, p.stream, [&](int64_t i) { return value(p.world.rank(), i); });
      p.world.broadcast(x, root, p.on("root's"));
      p.world.wait(p.stream);
      expect_values(
          read(x, p.stream), [&](int64_t i) { return value(root, i); }, case_text(p, dtype, count));
    }
  }
}

// Rank a sends (a * 5 + b * 3) % 4 * unit elements to rank b: none to some, unequal both ways.
inline void check_all_to_all(const Party& p) {
  const int ranks = p.world.size(), me = p.world.rank();
  for (const int64_t unit : {int64_t{0}, int64_t{1}, int64_t{37}, int64_t{5000}}) {
    const auto count = [&](int from, int to) { return (from * 5 + to * 3) % 4 * unit; };
    for (const DType dtype : element_types()) {
      std::vector<int64_t> out_counts, in_counts;
      int64_t received = 0, sent = 0;
      for (int other = 0; other < ranks; ++other) {
        in_counts.push_back(count(me, other));
        out_counts.push_back(count(other, me));
        sent += in_counts.back();
        received += out_counts.back();
      }
      std::vector<double> outgoing;
      for (int to = 0; to < ranks; ++to)
        for (int64_t i = 0; i < count(me, to); ++i) outgoing.push_back(value(me + 2 * to, i));
      const OwnedTensor in = filled(dtype, sent, p.stream, [&](int64_t i) { return outgoing[static_cast<size_t>(i)]; });
      const OwnedTensor out(dtype, {received}, p.stream.device);
      p.world.all_to_all({.out = out, .in = in, .out_counts = out_counts, .in_counts = in_counts}, p.on("uneven"));
      p.world.wait(p.stream);
      std::vector<double> incoming;
      for (int from = 0; from < ranks; ++from)
        for (int64_t i = 0; i < count(from, me); ++i) incoming.push_back(value(from + 2 * me, i));
      expect_values(
          read(out, p.stream), [&](int64_t i) { return incoming[static_cast<size_t>(i)]; }, case_text(p, dtype, unit));
    }
  }
}

// Nobody leaves before the last has come: the last comes late on purpose.
inline void check_split(const Party& p) {
  const int me = p.world.rank(), ranks = p.world.size();
  const auto part = p.world.split(me % 2, me % 2 == 0 ? "even" : "odd");
  EXPECT_EQ(part->size(), me % 2 == 0 ? (ranks + 1) / 2 : ranks / 2);
  EXPECT_EQ(part->rank(), me / 2);
  EXPECT_EQ(part->name(), me % 2 == 0 ? "even" : "odd");
  const OwnedTensor x = filled(DType::f64, 5, p.stream, [&](int64_t) { return me; });
  part->all_reduce(x, p.on("of a part"));
  part->wait(p.stream);
  double total = 0;
  for (int rank = me % 2; rank < ranks; rank += 2) total += rank;
  expect_values(
      read(x, p.stream), [&](int64_t) { return total; }, "part");
}

// Every rank gets the same bits, whatever the order of summation was.
inline void check_same_bits(const Party& p) {
  const int ranks = p.world.size();
  const OwnedTensor x = filled(DType::f32, 1001, p.stream,
                               [&](int64_t i) { return std::sin(static_cast<double>(i * 7 + p.world.rank())); });
  const OwnedTensor all(DType::f32, {1001 * ranks}, p.stream.device);
  p.world.all_reduce(x, p.on("rounded sum"));
  p.world.all_gather(all, x, p.on("everybody's sum"));
  p.world.wait(p.stream);
  const std::vector<double> mine = read(x, p.stream);
  expect_values(
      read(all, p.stream), [&](int64_t i) { return mine[static_cast<size_t>(i % 1001)]; }, "sums of all ranks");
}

}  // namespace timetrial::testing
