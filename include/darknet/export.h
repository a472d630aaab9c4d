/* What libdarknet.so exports; everything else in it is hidden. C99 and C++17. */
#ifndef DARKNET_EXPORT_H
#define DARKNET_EXPORT_H

#if defined(__GNUC__)
#define DARKNET_EXPORT __attribute__((visibility("default")))
#else
#define DARKNET_EXPORT
#endif

#endif
