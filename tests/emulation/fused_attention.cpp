// In place of src/ops/cuda/fused_attention.cpp where the device is emulated: there is no cuDNN, so our own kernels run.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/fused_attention.h"

#include "timetrial/base/error.h"
#include "timetrial/ops/libraries.h"

namespace timetrial::ops::cuda {

namespace {

constexpr const char* kWhyNot = "an emulated device has no cuDNN";

}  // namespace

struct FusedGraph::Parts {};

FusedGraph::FusedGraph(const AttentionShape&, const Options&) { throw Error(kWhyNot); }
FusedGraph::~FusedGraph() = default;
FusedGraph::FusedGraph(FusedGraph&&) noexcept = default;
FusedGraph& FusedGraph::operator=(FusedGraph&&) noexcept = default;
std::optional<std::string> FusedGraph::build(cudnnContext*) { return kWhyNot; }
std::optional<std::string> FusedGraph::check(const std::string&) { return kWhyNot; }
size_t FusedGraph::workspace_bytes() const { throw Error(kWhyNot); }
void FusedGraph::run(cudnnContext*, const FusedAddresses&) { throw Error(kWhyNot); }

void FusedAttention::DestroyHandle::operator()(cudnnContext*) const {}
cudnnContext* FusedAttention::handle(StreamRef) { throw Error(kWhyNot); }

AttentionPlan& FusedAttention::plan(const AttentionShape& shape, const Where& where, Libraries& libraries) {
  return plans_.get({shape, where.dtype, where.device.index}, [&] {
    AttentionPlan made{.choice = own_attention(libraries.attention(), kWhyNot), .forward = {}, .backward = {}};
    libraries.note(fmt::format("attention of {} {}: own kernels ({})", text_of(shape), name_of(where.dtype), kWhyNot));
    return made;
  });
}

size_t cudnn_version() { return 0; }

}  // namespace timetrial::ops::cuda
