// Checks of order_test.cpp that stand in a file of their own.
#pragma once
#include <cstdint>

namespace darknet::testing_order {

// Of an array of parameters: rows and what is left over of them, in several chunks.
inline constexpr std::int64_t kParameters = 10 * 1024 + 5;

void check_update();
void check_label_rejection();

}  // namespace darknet::testing_order
