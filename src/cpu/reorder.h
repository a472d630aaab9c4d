// A copy between two layouts of the same values, or nothing where they agree.
#pragma once
#include <optional>

#include "core/parts.h"
#include "cpu/onednn.h"

namespace darknet::onednn {

class Reorder {
 public:
  Reorder() = default;
  // add: the values are added to what `to` holds; then even equal layouts need work.
  Reorder(const Desc& from, const Desc& to, bool add = false) : from_(from), to_(to) {
    if (from == to && !add) return;
    dnnl::primitive_attr attr = plain_attributes();
    if (add) {
      dnnl::post_ops ops;
      ops.append_sum(1.f);
      attr.set_post_ops(ops);
    }
    const dnnl::reorder::primitive_desc pd(engine(), from, engine(), to, attr);
    scratch_ = pd.scratchpad_desc();
    primitive_.emplace(pd);
  }

  bool needed() const { return primitive_.has_value(); }
  std::int64_t scratch_bytes() const { return static_cast<std::int64_t>(scratch_.get_size()); }

  void run(const void* from, void* to, void* scratch) const {
    primitive_->execute(stream(), {{DNNL_ARG_FROM, {from_, engine(), const_cast<void*>(from)}},
                                   {DNNL_ARG_TO, {to_, engine(), to}},
                                   {DNNL_ARG_SCRATCHPAD, {scratch_, engine(), scratch}}});
  }

 private:
  Desc from_, to_, scratch_;
  std::optional<dnnl::reorder> primitive_;
};

}  // namespace darknet::onednn
