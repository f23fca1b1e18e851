// What the fake driver library tells; a test finds it by its symbol and writes it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

struct FakeNvml {
  int init_code = 0, handle_code = 0, ecc_code = 0;
  unsigned long long reasons = 0;
  unsigned processes = 1, power_milliwatts = 512300, sm_clock = 1650;
  int started = 0, stopped = 0;  // calls
};
