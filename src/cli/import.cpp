// darknet import x.onnx out.weights -cfg x.cfg
#include "onnx/import.h"

#include "cli/common_flags.h"
#include "cli/network_arguments.h"
#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "nn/weights.h"
#include "onnx/files.h"

namespace darknet::cli {
namespace {

struct ImportArguments : CfgArguments {
  std::string model, out;
};

int import_onnx(const ImportArguments& o) {
  require_onnx();
  require_writable_file(o.out, kWeightsFormat);
  Network net(sections_of(o), {});
  std::int64_t layers = 0;
  const OnnxModel model = read_onnx(o.model);
  try {
    layers = import_parameters(model, net);
  } catch (const Error& e) {
    fail_at({o.model, 0}, e.what());
  }
  save_weights(o.out, net, 0);
  log::info(cat(o.out, ": the weights of ", plural(layers, "layer")));
  return 0;
}

}  // namespace

void add_import(Program& program) {
  const Command command = program.command("import", "weights from a model of ONNX");
  command.footer(
      "The model has the structure of the cfg: its convolutions, products with a matrix and batch "
      "normalisations, in their order, are those of the cfg's layers. What `darknet export` wrote "
      "is read with any of its options, but for [local], [shortcut] with weights and share_index. "
      "docs/onnx.md says more.");
  auto& o = command.options<ImportArguments>();
  command.argument("model", o.model, "the model, x.onnx").required().input("the model");
  command.argument("out", o.out, "the file to write, x.weights").required();
  command.option("-cfg", o.cfg, "the network that the weights are for")
      .required()
      .input("the cfg")
      .value_name("FILE");
  add_overrides(command, o.overrides);
  command.runs([&o] { return import_onnx(o); });
}

}  // namespace darknet::cli
