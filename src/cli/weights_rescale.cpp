// darknet weights rescale cfg weights out
#include <string>

#include "cli/weights_edit.h"
#include "core/error.h"
#include "nn/input_edits.h"
#include "nn/weights.h"

namespace darknet::cli {
namespace {

struct RescaleArguments : WeightsEditArguments {
  std::string weights;
  float scale = 1, shift = 0;
  bool rgbgr = false;
};

WeightsEdit rescale(const RescaleArguments& o, Network& net) {
  const LoadedWeights loaded = load_weights(o.weights, net);
  if (o.rgbgr) swap_red_and_blue(net);
  if (o.scale != 1 || o.shift != 0) rescale_input(net, o.scale, o.shift);
  return {loaded.seen, "the first convolution was changed"};
}

}  // namespace

void add_weights_rescale(Program& program) {
  const Command command =
      program.command("weights rescale",
                      "change what the first convolution expects of an image: order of channels, "
                      "range of values");
  auto& o = command.options<RescaleArguments>();
  add_cfg_weights_out(command, o, o.weights);
  const Option rgbgr = command.flag(
      "-rgbgr", o.rgbgr, "the network was trained on images in the order BGR: swap red and blue");
  constexpr double kMax = 1e6;
  const Option scale =
      command
          .option("-scale", o.scale, "the network was trained on scale * x + shift, x from 0 to 1")
          .number_in(-kMax, kMax)
          .show_default();
  const Option shift =
      command.option("-shift", o.shift, "see -scale").number_in(-kMax, kMax).show_default();
  command.footer(
      "This program gives networks images in the order RGB with values from 0 to 1. A network that "
      "was trained on values from -1 to 1 needs -scale 2 -shift -1. With a shift, outputs at the "
      "borders of the image differ, where zeros are padded.");
  add_edit_flags(command, o);
  command.runs([&o, rgbgr, scale, shift] {
    if (!rgbgr.given() && !scale.given() && !shift.given())
      throw Error("nothing to do: give -rgbgr, -scale or -shift", 2);
    if (o.scale == 0)
      throw Error("-scale 0: the network would not depend on the image any more", 2);
    return write_edited_weights(o, [&](Network& net) { return rescale(o, net); });
  });
}

}  // namespace darknet::cli
