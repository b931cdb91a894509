/* Programs whose sections name what isn't there. */
#include "mini_bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("?uprobe/libc.so.6:maloc")
int on_maloc(void *ctx)
{
	return 0;
}
