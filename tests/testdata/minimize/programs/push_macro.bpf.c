#define page other_page
#pragma push_macro("page")
#undef page
#pragma pop_macro("page")
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct page *pg[2];
SEC("tc") int f(void *c) { return pg[0] == c; }
char LICENSE[] SEC("license") = "GPL";
