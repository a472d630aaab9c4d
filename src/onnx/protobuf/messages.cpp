// The module darknet_onnx: OnnxModel to and from protobuf's bytes (onnx/protobuf/messages.h).
#include "onnx/protobuf/messages.h"

#include <onnx/onnx.pb.h>

#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/half.h"

namespace darknet::protobuf {
namespace {

constexpr std::int64_t kIrVersion = 7;  // the one of opset 13
constexpr std::int64_t kMaxValues = std::int64_t{1} << 40;

onnx::TensorProto::DataType type_of(OnnxType type) {
  switch (type) {
    case OnnxType::f32:
      return onnx::TensorProto::FLOAT;
    case OnnxType::f16:
      return onnx::TensorProto::FLOAT16;
    case OnnxType::i64:
      break;
  }
  return onnx::TensorProto::INT64;
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string bytes_of(const OnnxTensor& t) {
  if (t.type == OnnxType::i64) return bytes_of(t.integers);
  if (t.type == OnnxType::f32) return bytes_of(t.floats);
  std::vector<std::uint16_t> halves;
  for (const float v : t.floats) halves.push_back(half_bits::to_f16(v));
  return bytes_of(halves);
}

void put(const OnnxTensor& from, onnx::TensorProto& to) {
  to.set_name(from.name);
  to.set_data_type(type_of(from.type));
  for (const std::int64_t d : from.dims) to.add_dims(d);
  to.set_raw_data(bytes_of(from));
}

void put_value(std::int64_t v, onnx::AttributeProto& to) {
  to.set_type(onnx::AttributeProto::INT), to.set_i(v);
}
void put_value(float v, onnx::AttributeProto& to) {
  to.set_type(onnx::AttributeProto::FLOAT), to.set_f(v);
}
void put_value(const std::string& v, onnx::AttributeProto& to) {
  to.set_type(onnx::AttributeProto::STRING), to.set_s(v);
}
void put_value(const std::vector<std::int64_t>& v, onnx::AttributeProto& to) {
  to.set_type(onnx::AttributeProto::INTS), to.mutable_ints()->Add(v.begin(), v.end());
}
void put_value(const std::vector<float>& v, onnx::AttributeProto& to) {
  to.set_type(onnx::AttributeProto::FLOATS), to.mutable_floats()->Add(v.begin(), v.end());
}

void put(const OnnxNode& from, onnx::NodeProto& to) {
  to.set_name(from.name), to.set_op_type(from.op);
  for (const std::string& name : from.inputs) to.add_input(name);
  for (const std::string& name : from.outputs) to.add_output(name);
  for (const OnnxAttribute& a : from.attributes) {
    onnx::AttributeProto& attribute = *to.add_attribute();
    attribute.set_name(a.name);
    std::visit([&](const auto& v) { put_value(v, attribute); }, a.value);
  }
}

void put(const OnnxPort& from, onnx::ValueInfoProto& to) {
  to.set_name(from.name);
  onnx::TypeProto::Tensor& tensor = *to.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type_of(from.type));
  onnx::TensorShapeProto& shape = *tensor.mutable_shape();
  for (const auto& d : from.dims)
    if (const auto* const name = std::get_if<std::string>(&d))
      shape.add_dim()->set_dim_param(*name);
    else
      shape.add_dim()->set_dim_value(std::get<std::int64_t>(d));
}

std::string write(const OnnxModel& from) {
  onnx::ModelProto model;
  model.set_ir_version(kIrVersion);
  model.set_producer_name("darknet_focal");
  onnx::OperatorSetIdProto& operators = *model.add_opset_import();
  operators.set_domain(""), operators.set_version(kOnnxOpset);
  onnx::GraphProto& graph = *model.mutable_graph();
  graph.set_name(from.name);
  for (const OnnxNode& n : from.nodes) put(n, *graph.add_node());
  for (const OnnxTensor& t : from.constants) put(t, *graph.add_initializer());
  for (const OnnxPort& p : from.inputs) put(p, *graph.add_input());
  for (const OnnxPort& p : from.outputs) put(p, *graph.add_output());
  for (const auto& [key, value] : from.metadata) {
    onnx::StringStringEntryProto& entry = *model.add_metadata_props();
    entry.set_key(key), entry.set_value(value);
  }
  if (model.ByteSizeLong() > std::size_t{std::numeric_limits<std::int32_t>::max()})
    fail("an ONNX model has less than 2 GiB, this one ", model.ByteSizeLong() >> 20, " MiB");
  return model.SerializeAsString();
}

// The values of a tensor: `list` where they have a field of their own, else the raw bytes.
template <class T, class List>
std::vector<T> values_of(const onnx::TensorProto& t, const List& list) {
  if (!t.has_raw_data()) return {list.begin(), list.end()};
  std::vector<T> values(t.raw_data().size() / sizeof(T));
  std::memcpy(values.data(), t.raw_data().data(), values.size() * sizeof(T));
  return values;
}

void read_values(const onnx::TensorProto& from, OnnxTensor& to) {
  switch (from.data_type()) {
    case onnx::TensorProto::FLOAT:
      to.floats = values_of<float>(from, from.float_data());
      return;
    case onnx::TensorProto::DOUBLE:
      for (const double v : values_of<double>(from, from.double_data()))
        to.floats.push_back(static_cast<float>(v));
      return;
    case onnx::TensorProto::FLOAT16:
      to.type = OnnxType::f16;
      for (const std::uint16_t v : values_of<std::uint16_t>(from, from.int32_data()))
        to.floats.push_back(half_bits::from_f16(v));
      return;
    case onnx::TensorProto::INT64:
      to.type = OnnxType::i64;
      to.integers = values_of<std::int64_t>(from, from.int64_data());
      return;
    default:
      to.dims = {0};
  }
}

std::int64_t count_of(const OnnxTensor& t) {
  std::int64_t count = 1;
  for (const std::int64_t d : t.dims) {
    if (d < 0 || (d > 0 && count > kMaxValues / d)) return -1;
    count *= d;
  }
  return count;
}

OnnxTensor read(const onnx::TensorProto& from) {
  OnnxTensor to{.name = from.name()};
  if (from.data_location() == onnx::TensorProto::EXTERNAL)
    fail("its constant ", to.name, " lies in another file, which is not supported");
  to.dims.assign(from.dims().begin(), from.dims().end());
  read_values(from, to);
  const std::size_t values = to.type == OnnxType::i64 ? to.integers.size() : to.floats.size();
  if (count_of(to) != static_cast<std::int64_t>(values))
    fail("its constant ", to.name, " has ", values, " values, which its dimensions contradict");
  return to;
}

void read_attribute(const onnx::AttributeProto& from, std::vector<OnnxAttribute>& to) {
  switch (from.type()) {
    case onnx::AttributeProto::INT:
      to.push_back({from.name(), std::int64_t{from.i()}});
      return;
    case onnx::AttributeProto::FLOAT:
      to.push_back({from.name(), from.f()});
      return;
    case onnx::AttributeProto::STRING:
      to.push_back({from.name(), from.s()});
      return;
    case onnx::AttributeProto::INTS:
      to.push_back(
          {from.name(), std::vector<std::int64_t>(from.ints().begin(), from.ints().end())});
      return;
    case onnx::AttributeProto::FLOATS:
      to.push_back({from.name(), std::vector<float>(from.floats().begin(), from.floats().end())});
      return;
    default:
      return;
  }
}

void read_node(const onnx::NodeProto& from, OnnxModel& to) {
  if (from.op_type() == "Constant" && from.output_size() == 1) {
    for (const onnx::AttributeProto& a : from.attribute())
      if (a.has_t()) {
        to.constants.push_back(read(a.t()));
        to.constants.back().name = from.output(0);
      }
    return;
  }
  OnnxNode node{.op = from.op_type(), .name = from.name()};
  node.inputs.assign(from.input().begin(), from.input().end());
  node.outputs.assign(from.output().begin(), from.output().end());
  for (const onnx::AttributeProto& a : from.attribute()) read_attribute(a, node.attributes);
  to.nodes.push_back(std::move(node));
}

OnnxPort read(const onnx::ValueInfoProto& from) {
  OnnxPort port{.name = from.name()};
  for (const auto& d : from.type().tensor_type().shape().dim())
    d.has_dim_value() ? port.dims.emplace_back(std::int64_t{d.dim_value()})
                      : port.dims.emplace_back(d.dim_param());
  return port;
}

OnnxModel read(const std::string& bytes) {
  onnx::ModelProto model;
  if (!model.ParseFromString(bytes) || !model.has_graph()) fail("this is not an ONNX model");
  OnnxModel result{.name = model.graph().name()};
  for (const onnx::TensorProto& t : model.graph().initializer())
    result.constants.push_back(read(t));
  for (const onnx::NodeProto& n : model.graph().node()) read_node(n, result);
  for (const auto& p : model.graph().input()) result.inputs.push_back(read(p));
  for (const auto& p : model.graph().output()) result.outputs.push_back(read(p));
  for (const auto& entry : model.metadata_props())
    result.metadata.emplace_back(entry.key(), entry.value());
  return result;
}

}  // namespace
}  // namespace darknet::protobuf

const void* darknet::darknet_module(std::uint64_t interface) {
  static constexpr OnnxMessages kFunctions{.write = protobuf::write, .read = protobuf::read};
  return interface == DARKNET_MODULE_INTERFACE ? &kFunctions : nullptr;
}
