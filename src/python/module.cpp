#include "python/module.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "darknet/error.h"

namespace darknet::python {
namespace py = pybind11;

SharedFunction shared_function(const py::object& f) {
  if (f.is_none()) return nullptr;
  const auto drop = [](py::function* function) {
    const py::gil_scoped_acquire lock;
    delete function;  // NOLINT(cppcoreguidelines-owning-memory)
  };
  return {new py::function(f), drop};  // NOLINT(cppcoreguidelines-owning-memory)
}

std::function<void(LogLevel, const std::string&)> log_of(const py::dict& options) {
  if (options.contains("log") && PyCallable_Check(options["log"].ptr()) == 0)
    refuse("log", options["log"], "a function of a level and a message");
  const SharedFunction log =
      shared_function(options.contains("log") ? py::object(options["log"]) : py::none());
  if (!log) return nullptr;
  return [log](LogLevel level, const std::string& message) {
    static constexpr const char* kNames[] = {"information", "warning", "error"};
    const py::gil_scoped_acquire lock;
    try {
      (*log)(kNames[static_cast<int>(level)], py::reinterpret_steal<py::str>(PyUnicode_DecodeUTF8(
                                                  message.data(), std::ssize(message), "replace")));
    } catch (py::error_already_set& e) {
      if (e.matches(PyExc_KeyboardInterrupt))
        PyErr_SetInterrupt();
      else
        e.discard_as_unraisable("the log callback of darknet_focal");
    }
  };
}

namespace {

// The calls that work without the lock.
struct Calls {
  std::mutex mutex;
  std::condition_variable changed;
  int at_work = 0;
  std::optional<std::thread::id> ending;  // the thread that ends the interpreter
};

Calls*& calls_of_process() {
  static Calls* all = new Calls;  // NOLINT: daemon threads may outlive what is static
  return all;
}
Calls& calls() { return *calls_of_process(); }

thread_local int nested = 0;  // NOLINT: how many of them are of this thread

// Whether another thread ends the interpreter.
bool is_ending(const Calls& all) { return all.ending && all.ending != std::this_thread::get_id(); }

// Counts the call, or does not return.
void begin_call() {
  Calls& all = calls();
  std::unique_lock lock(all.mutex);
  if (nested == 0 && is_ending(all)) all.changed.wait(lock, [] { return false; });
  ++all.at_work, ++nested;
}

void end_call() {
  Calls& all = calls();
  const std::lock_guard lock(all.mutex);
  --all.at_work, --nested;
  all.changed.notify_all();
}

// Where the interpreter waits for the thread's call, ends it and does not return.
void stay_if_ending() {
  Calls& all = calls();
  std::unique_lock lock(all.mutex);
  if (nested > 1 || !is_ending(all)) return;
  --all.at_work;
  all.changed.notify_all();
  all.changed.wait(lock, [] { return false; });
}

void wait_for_calls() {
  const py::gil_scoped_release unlocked;
  Calls& all = calls();
  std::unique_lock lock(all.mutex);
  all.ending = std::this_thread::get_id();
  all.changed.wait(lock, [&] { return all.at_work == 0; });
}

// The child of a fork has none of the other threads.
void forget_other_threads() {
  calls_of_process() = new Calls;  // NOLINT: another thread may have held the old one's mutex
  calls().at_work = nested;
}

}  // namespace

Unlocked::Unlocked() : state_(PyEval_SaveThread()) { begin_call(); }

// The call is counted until its thread has the lock: later it could not have it any more.
Unlocked::~Unlocked() {
  stay_if_ending();
  PyEval_RestoreThread(state_);
  end_call();
}

// NumPy 2 moved the strides in its array struct: pybind11 before 2.12 reads wrong ones, with no
// error.
void require_fitting_numpy() {
  constexpr bool kOnlyNumpy1 = PYBIND11_VERSION_MAJOR == 2 && PYBIND11_VERSION_MINOR < 12;
  const auto version = py::module_::import("numpy").attr("__version__").cast<std::string>();
  if (!kOnlyNumpy1 || version.starts_with("0.") || version.starts_with("1.")) return;
  throw py::import_error("darknet_focal was built with pybind11 " PYBIND11_TOSTRING(
                             PYBIND11_VERSION_MAJOR) "." PYBIND11_TOSTRING(PYBIND11_VERSION_MINOR)
                         ", which works with NumPy 1 only, and this is NumPy " +
                         version + "; use NumPy 1, or build the package with pybind11 2.12 or later: "
                                   "pip install ./src/python");
}

void wait_at_exit() {
  py::module_::import("atexit").attr("register")(py::cpp_function(&wait_for_calls));
  py::module_::import("os").attr("register_at_fork")(py::arg("after_in_child") =
                                                         py::cpp_function(&forget_other_threads));
}

bool interpreter_ends() {
  Calls& all = calls();
  const std::lock_guard lock(all.mutex);
  return is_ending(all);
}

void check_signals() {
  const py::gil_scoped_acquire lock;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace darknet::python

PYBIND11_MODULE(_darknet, m) {
  darknet::python::require_fitting_numpy();
  m.attr("__version__") = darknet::version();
  pybind11::register_exception<darknet::Exception>(m, "Error", PyExc_RuntimeError);
  darknet::python::wait_at_exit();
  darknet::python::add_detector(m);
  darknet::python::add_training(m);
  darknet::python::add_losses(m);
}
