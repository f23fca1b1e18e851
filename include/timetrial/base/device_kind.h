// DeviceKind: what a rank computes on. In base, because configuration names it and the device layer realises it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace timetrial {

enum class DeviceKind { cpu, cuda };

}  // namespace timetrial
