#include "python/module.h"

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

void check_signals() {
  const py::gil_scoped_acquire lock;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace darknet::python

PYBIND11_MODULE(_darknet, m) {
  m.attr("__version__") = darknet::version();
  pybind11::register_exception<darknet::Exception>(m, "Error", PyExc_RuntimeError);
  darknet::python::add_detector(m);
  darknet::python::add_training(m);
  darknet::python::add_losses(m);
}
