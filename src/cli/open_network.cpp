#include "cli/open_network.h"

#include "cfg/data_file.h"
#include "cfg/parse.h"
#include "core/input.h"
#include "eval/predict.h"
#include "nn/weights.h"

namespace darknet::cli {

Network open_network(const OpenOptions& o) {
  std::vector<Section> cfg = read_cfg(o.cfg);
  apply_overrides(cfg, o.overrides);
  if (o.letter_box) cfg.front().set("letter_box", "1", {"-letter_box", 0});
  Network net(std::move(cfg), {.device = o.device,
                               .exact = o.exact,
                               .batch = o.batch,
                               .tuning = tuning_for(o.tuning, o.device)});
  require_picture_input(net);
  load_weights(o.weights, net);
  net.parameters_changed();
  return net;
}

std::vector<std::string> class_names(const Network& net, const std::filesystem::path& names,
                                     bool shipped) {
  const std::int64_t classes = classes_of(net);
  if (!names.empty()) return read_names(names, classes);
  const std::string own = std::filesystem::path(net.where().file).stem().string() + ".names";
  for (const std::string& file :
       {"data/" + own, std::string("data/coco.names"), std::string("data/voc.names")})
    if (shipped && is_present(file))
      if (auto list = read_names(file, 0); static_cast<std::int64_t>(list.size()) == classes)
        return list;
  return names_of("", classes);
}

void remove_hidden(std::vector<Detection>& found, const std::vector<std::string>& names) {
  std::erase_if(found, [&](const Detection& d) {
    return names[static_cast<std::size_t>(d.class_id)].starts_with("dont_show");
  });
}

}  // namespace darknet::cli
