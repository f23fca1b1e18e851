// How the official checker, a Python program, sees JSON values: truth values are numbers, 4.0 equals 4.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "mllog/expression.h"
#include "timetrial/base/json.h"

namespace timetrial::mllog {

// The value as a number: integers, doubles and booleans (1, 0). The wide type keeps every 64-bit integer exact on
// platforms whose long double has 64 bits of mantissa or more.
std::optional<long double> number_of(const Json& value);

// The same with Python's difference between integers and floats kept.
std::optional<Number> python_number(const Json& value);

// Python's ==, as its containers use it: numbers by value, NaN equal to NaN.
bool python_equal(const Json& a, const Json& b);

// Whether `name` is in the metadata as Python's `in` decides: a field of an object, an element of a list, a part of a
// text. Nothing is in a number or null.
bool python_contains(const Json& metadata, const std::string& name);

}  // namespace timetrial::mllog
