/* The congestion control of congestion.bpf.c behind a link. */
#define OPS_SECTION ".struct_ops.link"
#include "congestion.bpf.c"
