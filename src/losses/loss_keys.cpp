#include "losses/loss_keys.h"

#include "core/text.h"

namespace darknet {

LogitLoss parse_loss(const std::string& text) {
  Section section("loss", {printable(text), 0});
  const std::size_t colon = text.find(':');
  section.add("name", text.substr(0, colon), 0);
  std::string_view rest = colon == text.npos ? "" : std::string_view(text).substr(colon + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find(','));
    const std::size_t equals = pair.find('=');
    if (equals == pair.npos)
      fail(printable(text), ": '", shown(pair), "' is no key=value, as in focal:gamma=2,alpha=.25");
    section.add(std::string(pair.substr(0, equals)), std::string(pair.substr(equals + 1)), 0);
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
  }
  if (const auto named = value_of<LogitLoss>(text.substr(0, colon)); named && is_of_batch(*named))
    fail(printable(text), ": the weights of ", name_of(*named),
         " depend on the batch, so it has no curve");
  LogitLoss loss =
      value_of<LogitLoss>(section.word("name", "", OneOf{names_of<PointwiseLoss>()})).value();
  std::visit([&](auto& l) { section.read(l); }, loss);
  section.finish();
  require_sound(section, "", loss);
  return loss;
}

}  // namespace darknet
