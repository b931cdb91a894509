/* Types alone: what stands in for a kernel's BTF. */
#include "mini_bpf.h"
#include "types.h"
typedef struct all { enum level a; enum plain b; enum wide c; union choice d; pair_t e; struct whole *f; struct arrays g;
#if !LACKS
	struct only_here h;
#endif
#if OTHER
	enum level___wide i;
#endif
#if TWICE
	struct whole___2 j;
#endif
} all;
all every SEC(".data");
