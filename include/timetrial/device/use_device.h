// use_device: the device that a thread works on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/device/device.h"

namespace timetrial {

// Says once, at the start of every thread that will touch a device, which one that is; costs nothing on the CPU. CUDA
// gives a thread that never said so device 0, and whatever then asks for the thread's device makes a context there
// (some hundred MiB on a GPU): of every rank of the host, on the GPU of its first rank.
void use_device(Device device);
// The device that the calling thread uses; the first one of its kind where it has not said.
Device device_in_use(DeviceKind kind);

}  // namespace timetrial
