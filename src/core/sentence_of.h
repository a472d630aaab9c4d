// What the user is told of an exception: its message, with what helps where memory ran out.
#pragma once
#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include "core/error.h"
#include "core/out_of_memory.h"

namespace darknet {

// What reduces the memory that is needed of a device: text to append to a message after "; ". It
// names subdivisions= with "(training)", as a network for inference has none; a training has such a
// network, too, with -map.
inline constexpr char kLessDeviceMemory[] =
    "larger subdivisions= (training), a smaller width= and height=, or precision=f16 need less";

inline std::string sentence_of(const std::exception& e) {
  if (dynamic_cast<const DeviceOutOfMemory*>(&e)) return cat(e.what(), "; ", kLessDeviceMemory);
  if (dynamic_cast<const OutOfMemory*>(&e)) return e.what();
  if (dynamic_cast<const std::bad_alloc*>(&e))
    return "out of memory; a smaller batch, more subdivisions, a smaller input or fewer images "
           "need less, and so do other programs that are closed";
  if (dynamic_cast<const std::length_error*>(&e))  // of an allocation it would be an OutOfMemory
    return cat("internal error: a length beyond every limit (", e.what(),
               "); please report it with the command that led here");
  return e.what();
}

}  // namespace darknet
