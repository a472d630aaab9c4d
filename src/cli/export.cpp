// darknet export cfg weights out.onnx
#include "onnx/export.h"

#include "cli/common_flags.h"
#include "cli/network_arguments.h"
#include "cli/open_network.h"
#include "core/file.h"
#include "core/log.h"
#include "core/number.h"
#include "core/text.h"
#include "onnx/files.h"

namespace darknet::cli {
namespace {

struct ExportArguments : NetworkArguments {
  std::string out, decode = std::string(name_of(OnnxOptions{}.decode)),
                   layout = std::string(name_of(OnnxOptions{}.layout)), batch = "1";
  std::filesystem::path names;
  std::int64_t fold = 1;
  OnnxOptions options;
};

constexpr const char* kDynamic = "dynamic";

// "" where it is sound.
std::string wrong_batch(const std::string& text) {
  std::int64_t images = 0;
  const bool sound =
      text == kDynamic || (read_number(text, images) && images >= 1 && images <= 1 << 16);
  return sound ? "" : cat("expected a number of images or ", kDynamic, ", not ", shown(text));
}

std::string described(const OnnxPort& port) {
  std::string text = cat(port.name, " [");
  for (std::size_t i = 0; i < port.dims.size(); ++i)
    std::visit([&](const auto& d) { text += cat(i == 0 ? "" : ", ", d); }, port.dims[i]);
  return text + "]";
}

int export_onnx(ExportArguments o) {
  require_onnx();
  require_writable_file(o.out, kOnnxFormat);
  o.overrides.push_back(precision_override(name_of(DType::f32)));
  std::int64_t images = 1;
  o.options.dynamic_batch = !read_number(o.batch, images);
  const Network net = open_network(o, images);
  o.options.decode = value_of<OnnxDecode>(o.decode).value();
  o.options.layout = value_of<OnnxLayout>(o.layout).value();
  o.options.fold_batch_norm = o.fold == 1;
  if (!net.heads().empty()) o.options.names = class_names(net, o.names, true);
  const OnnxModel model = onnx_model(net, o.options);
  write_file_atomically(o.out, onnx_bytes(model));
  std::string ports;
  for (const OnnxPort& p : model.inputs) ports += described(p);
  ports += " ->";
  for (const OnnxPort& p : model.outputs) ports += " " + described(p);
  log::info(cat(o.out, ": ", ports));
  return 0;
}

void add_choices(const Command& command, ExportArguments& o) {
  command
      .text_option("-decode", o.decode,
                   "the outputs: raw, each head's logits; boxes, of all heads; nms, what "
                   "non-maximum suppression leaves of them")
      .one_of(names_of<OnnxDecode>())
      .show_default();
  command
      .text_option("-layout", o.layout,
                   "of -decode boxes: rows, [N, boxes, 5 + classes]; columns, [N, 4 + classes, "
                   "boxes], with objectness times probability")
      .one_of(names_of<OnnxLayout>())
      .show_default();
  command.text_option("-batch", o.batch, "images of a call, or dynamic: any number of them")
      .check(wrong_batch)
      .value_name("N")
      .show_default();
  command.flag("-half", o.options.half, "16-bit floats between the input and the heads");
  command.option("-fold", o.fold, "1: batch normalisation in the weights; 0: nodes of their own")
      .integer_in(0, 1)
      .show_default();
  command.option("-thresh", o.options.threshold, "of -decode nms: least probability")
      .number_in(0, 1)
      .show_default();
  command
      .option("-nms", o.options.nms,
              "of -decode nms: overlap above which the weaker of two goes; 0: none")
      .number_in(0, 1)
      .show_default();
  command.option("-names", o.names, "names of the classes, for the model's metadata")
      .input("the names")
      .value_name("FILE");
}

}  // namespace

void add_export(Program& program) {
  const Command command = program.command("export", "a network as a model of ONNX");
  command.footer(
      "The input is [N, channels, height, width], RGB, 0 to 1. A box is cx, cy, w, h in pixels of "
      "it; then come the objectness and the probability of each class. What `darknet detect` calls "
      "a probability is their product. docs/onnx.md says more.");
  auto& o = command.options<ExportArguments>();
  add_positionals(command, o, Positionals::cfg_weights);
  command.argument("out", o.out, "the file to write, x.onnx").required();
  add_choices(command, o);
  add_overrides(command, o.overrides);
  command.runs([&o, command] {
    for (const auto& [flag, decode] : {std::pair{"-layout", OnnxDecode::boxes},
                                       {"-thresh", OnnxDecode::nms},
                                       {"-nms", OnnxDecode::nms}})
      if (command.at(flag).given() && o.decode != name_of(decode))
        throw Error(cat(flag, " is for -decode ", name_of(decode), ", not ", o.decode), 2);
    return export_onnx(o);
  });
}

}  // namespace darknet::cli
