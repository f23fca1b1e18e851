// What cuDNN's fused attention can do, by its frontend's support checks (1.32: sdpa_support_surface.h and the backward
// node). SPDX-License-Identifier: Apache-2.0
#include "ops/attention_choice.h"

#include <utility>

namespace timetrial::ops {

namespace {

// The least version asked for: 9.10 and older have known faults in backward, and fewer head widths.
constexpr size_t kOldestCudnn = 91100;
constexpr size_t kSinksFrom = 91300;
// Up to this version the frontend pads lengths that are no multiple of 128 with copies from the host in every call.
constexpr size_t kPadsUpTo = 91500;
constexpr size_t kBlackwellDeterministicFrom = 91800;

// Head widths: multiples of 8 channels; up to 256 on Hopper, up to 128 on Blackwell, there 192 with values of 128 too.
std::string width_problem(const AttentionShape& s, int generation) {
  const int64_t d = s.head_dim, dv = s.value_dim();
  if (d % 8 != 0 || dv % 8 != 0) return fmt::format("heads of {} and {} channels are no multiples of 8", d, dv);
  const bool latent = d == 192 && dv == 128;
  const int64_t most = generation == 9 ? 256 : 128;
  if (!latent && (d > most || dv > most))
    return fmt::format("heads of {} and {} channels; this GPU takes up to {}", d, dv, most);
  return {};
}

std::string problem(const AttentionShape& s, const AttentionSettings& settings, const AttentionPlace& place) {
  if (place.dtype != DType::bf16) return fmt::format("it takes bf16, not {}", name_of(place.dtype));
  if (place.cudnn_version < kOldestCudnn)
    return fmt::format("cuDNN {} is older than {}", cudnn_version_text(place.cudnn_version),
                       cudnn_version_text(kOldestCudnn));
  const int generation = place.compute_capability / 10;
  if (generation != 9 && generation != 10)
    return fmt::format("compute capability {}.{} is neither Hopper nor Blackwell", generation,
                       place.compute_capability % 10);
  if (s.length == 1) return "sequences of one token";
  if (std::string text = width_problem(s, generation); !text.empty()) return text;
  if (s.sinks && place.cudnn_version < kSinksFrom)
    return fmt::format("sinks need cuDNN {}, this is {}", cudnn_version_text(kSinksFrom),
                       cudnn_version_text(place.cudnn_version));
  if (s.length % 128 != 0 && place.cudnn_version <= kPadsUpTo)
    return fmt::format("{} tokens are no multiple of 128, which cuDNN {} needs", s.length,
                       cudnn_version_text(place.cudnn_version));
  if (settings.deterministic && generation == 10 && place.cudnn_version < kBlackwellDeterministicFrom)
    return fmt::format("a deterministic backward on this GPU needs cuDNN {}",
                       cudnn_version_text(kBlackwellDeterministicFrom));
  return {};
}

}  // namespace

std::string cudnn_version_text(size_t version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

AttentionChoice own_attention(const AttentionSettings& settings, std::string reason) {
  if (settings.kernels == AttentionKernels::cudnn)
    throw UserError(
        fmt::format("device.attention is cudnn, but cuDNN cannot compute this attention: {}; use best or own", reason));
  return {.fused = false, .reason = std::move(reason)};
}

AttentionChoice attention_backend(const AttentionShape& shape, const AttentionSettings& settings,
                                  const AttentionPlace& place) {
  if (settings.kernels == AttentionKernels::own) return {.fused = false, .reason = "device.attention is own"};
  std::string reason = problem(shape, settings, place);
  if (reason.empty()) return {.fused = true, .reason = {}};
  return own_attention(settings, std::move(reason));
}

std::optional<int64_t> cudnn_left_bound(const AttentionShape& shape) {
  if (shape.window_keys == 0 || shape.window_keys >= shape.length) return std::nullopt;
  return shape.window_keys;
}

std::string text_of(const AttentionShape& s) {
  std::string text = fmt::format("{}/{} heads of {}", s.heads, s.kv_heads, s.head_dim);
  if (s.value_dim() != s.head_dim) text += fmt::format(", values of {}", s.value_dim());
  text += fmt::format(", {} x {} tokens", s.batch, s.length);
  if (s.window_keys != 0) text += fmt::format(", window {}", s.window_keys);
  if (s.sinks) text += ", sinks";
  return text;
}

}  // namespace timetrial::ops
