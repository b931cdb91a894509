/* The next version of restart.bpf.c: other code, and one variable more. */
#define NEXT_VERSION
#include "restart.bpf.c"
