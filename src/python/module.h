// The parts of the Python module `darknet_focal._darknet`, and what they share. The package around
// it (darknet_focal/) has the interface that users see; this has dictionaries and arrays.
#pragma once
#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "darknet/detector.h"

namespace darknet::python {

void add_detector(pybind11::module_&);
void add_training(pybind11::module_&);
void add_losses(pybind11::module_&);

// What `set` takes, for messages.
template <class T>
constexpr const char* expected_of() {
  if constexpr (std::is_same_v<T, bool>) return "True or False";
  if constexpr (std::is_integral_v<T> || std::is_same_v<T, std::optional<std::int64_t>> ||
                std::is_same_v<T, std::optional<std::uint64_t>>)
    return "an integer";
  if constexpr (std::is_floating_point_v<T>) return "a number";
  if constexpr (std::is_same_v<T, std::filesystem::path>) return "a path";
  if constexpr (std::is_same_v<T, std::string>) return "a string";
  return "a list of strings";
}

[[noreturn]] inline void refuse(const char* key, const pybind11::handle& value,
                                const char* expected) {
  throw pybind11::type_error(std::string(key) + " cannot be " + std::string(pybind11::repr(value)) +
                             "; expected " + expected);
}

// Sets a member where the dictionary has its key; the package gives all keys their defaults. Throws
// a TypeError, with what is expected, where the value is of another type.
template <class T>
void set(const pybind11::dict& options, const char* key, T& member) try {
  if (options.contains(key)) member = options[key].cast<T>();
} catch (const pybind11::cast_error&) {
  refuse(key, options[key], expected_of<T>());
}

// A Python function that threads without the interpreter's lock may keep, copy and drop.
using SharedFunction = std::shared_ptr<pybind11::function>;
SharedFunction shared_function(const pybind11::object&);  // null of None

// The log callback of options: log(level, message), "information", "warning" or "error". What it
// raises is reported as an exception that nobody can catch, but for a Ctrl-C, which the next check
// for signals finds.
std::function<void(LogLevel, const std::string&)> log_of(const pybind11::dict& options);

// While one lives, its thread works without the interpreter's lock, so that other threads of Python
// run. The interpreter ends only when none lives. A daemon thread that ends one, or begins another,
// while the interpreter waits for that sleeps until the process is gone.
class Unlocked {
 public:
  Unlocked();
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked();

 private:
  PyThreadState* state_;
};
// Throws an ImportError where arrays of this NumPy would be read wrongly.
void require_fitting_numpy();
void wait_at_exit();      // registers what waits
bool interpreter_ends();  // whether it waits, so that long work is to end

// Takes the interpreter's lock. Throws what a signal raised, as KeyboardInterrupt, in the main
// thread.
void check_signals();

}  // namespace darknet::python
