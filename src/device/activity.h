// How the device layer tells the watches of the calling thread what it does.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace timetrial {

struct DeviceActivityNotes {
  static void allocated(size_t bytes);  // bytes of device memory: 0 for host memory beside a GPU
  static void released(size_t bytes);
  static void waited();
  static void copied();
};

}  // namespace timetrial
