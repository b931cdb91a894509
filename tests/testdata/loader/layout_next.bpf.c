/* The next version of layout.bpf.c: its members have other places. */
#define OTHER_LAYOUT
#include "layout.bpf.c"
