// The web page at the image port: the stream, figures and counts, for desktops and phones.
#pragma once

namespace darknet {

const char* web_page();

}  // namespace darknet
