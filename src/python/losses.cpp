// The losses on arrays.
#include "darknet/losses.h"

#include "python/module.h"

namespace darknet::python {
namespace {
namespace py = pybind11;

template <class T>
using Values = py::array_t<T, py::array::c_style | py::array::forcecast>;

template <class To, class T>
std::vector<To> vector_of(const Values<T>& array) {
  return std::vector<To>(array.data(), array.data() + array.size());
}

py::tuple arrays_of(const LossValues& computed) {
  const auto array = [](const std::vector<float>& v) {
    return py::array_t<float>(static_cast<py::ssize_t>(v.size()), v.data());
  };
  return py::make_tuple(array(computed.value), array(computed.gradient));
}

py::tuple of_logits(const std::string& loss, const Values<float>& logits,
                    const Values<float>& targets, const Values<bool>& positives) {
  return arrays_of(loss_of_logits(loss, vector_of<float>(logits), vector_of<float>(targets),
                                  vector_of<bool>(positives)));
}

py::tuple of_classes(const std::string& loss, const Values<float>& logits, std::int64_t classes,
                     const Values<std::int32_t>& true_classes) {
  return arrays_of(loss_of_classes(loss, vector_of<float>(logits), classes,
                                   vector_of<std::int32_t>(true_classes)));
}

}  // namespace

void add_losses(py::module_& m) {
  m.def("logit_losses", &logit_loss_names);
  m.def("class_losses", &class_loss_names);
  m.def("loss_of_logits", &of_logits);
  m.def("loss_of_classes", &of_classes);
}

}  // namespace darknet::python
