// For which processors the loops of this program were compiled. What oneDNN and the Winograd
// convolutions use is apart from that: they look at the processor.
#pragma once

namespace darknet {

// "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4" (the levels of the x86-64 psABI, of which the
// processor has at least this one), or "this architecture" on others.
const char* instruction_set();

}  // namespace darknet
