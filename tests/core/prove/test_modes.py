"""What `lean` and `fields` may lack, and what shows that more was needed."""

import pytest
from ebpfbuild.prove.objects import PROVABLE_MODES, Verdict, prove

# Members that the program never names, and that fields may therefore drop.
DROPPED = [
    ("\t__be32 saddr;\n", ""),
    ("\tunsigned short dport;\n", ""),
    ("\tconst volatile struct net *net;\n\tenum", "\tenum"),
    ("\tint (*connect)(struct sock *sk, const char *address, int length);\n", ""),
    ("\tunsigned long si;\n\tunsigned long ax;\n", ""),
]


def test_fields_may_lack_what_only_core_looks_at(prove_object):
    full, small = prove_object(), prove_object(DROPPED)
    assert prove(full, small, "fields") == Verdict("fields", True)
    for mode in ("exact", "lean"):
        verdict = prove(full, small, mode)
        assert "struct sock: member net is missing in the minimized object" in verdict.differences
        assert {"sock", "common", "proto"} <= set(verdict.types)


def test_lean_may_declare_what_nobody_looks_into(prove_object):
    untouched = ("struct untouched {\n\tint one;\n\tint two;\n};\n", "")
    assert prove(prove_object(), prove_object([untouched]), "lean").equal
    assert prove(prove_object([untouched]), prove_object(), "lean").equal
    renamed = ("struct untouched {", "struct touched {")
    assert not prove(prove_object([untouched]), prove_object([renamed], [("untouched *", "touched *")]), "lean").equal


# What `fields` risks: each reads sock or net as a whole, so that dropping a member of it changes code or meaning.
TRAPS = {
    "pointer arithmetic alone": "struct lonely *lonely = (void *)&last; last.bytes += (long)(lonely + 1);",
    "pointer arithmetic": "struct sock *next = sk + 1; last.bytes += next->family;",
    "pointer difference": "last.bytes += (struct sock *)last.bytes - sk;",
    "sizeof": "last.bytes += sizeof(struct sock);",
    "typeof a member": "typeof(sk->common) it; bpf_probe_read_kernel(&it, sizeof(it), sk); last.bytes = it.num;",
    "variable index": "last.bytes += sk->loads[last.bytes & 7].inverse;",
    "struct copied": "struct common copy = sk->common; last.bytes += copy.num + copy.daddr;",
    "type matches": "last.bytes += __builtin_preserve_type_info(*(struct sock *)0, 2);",
    "local type id": "last.bytes += __builtin_btf_type_id(*(struct sock *)0, 0);",
    "offsetof": "last.bytes += __builtin_offsetof(struct sock, family);",
}


@pytest.mark.parametrize("name", TRAPS)
def test_fields_tells_a_use_that_needs_the_whole_struct(prove_object, name):
    use = [("\tif (bpf_sock_check)\n", f"\t{TRAPS[name]}\n\tif (bpf_sock_check)\n")]
    lonely = "struct lonely {\n\tlong unused;\n\tlong used;\n};\n\nstruct untouched {"
    more = [("struct untouched {", lonely), ("\tunsigned long weight;\n", "\tunsigned long weight;\n\tlong more;\n")]
    less = [*DROPPED, ("struct untouched {", lonely.replace("\tlong unused;\n", ""))]
    assert prove(prove_object(more), prove_object(less), "fields").equal
    verdict = prove(prove_object(more, use), prove_object(less, use), "fields")
    assert not verdict.equal
    assert {"sock", "common", "lonely"} & set(verdict.types), verdict


def test_fields_tells_a_bitfield_whose_neighbour_is_dropped(prove_object):
    verdict = prove(prove_object(), prove_object([("\tunsigned int reuse : 4;\n", "")]), "fields")
    assert not verdict.equal and "sock" in verdict.types


def test_a_kfuncs_pointer_must_point_to_what_the_full_header_defines(compile_bpf):
    text = """#include "mini_bpf.h"
    struct task { int pid; };
    extern void check(struct task *task) __ksym;
    SEC("tp_btf/x") int f(void *ctx) { check(ctx); return 0; }
    char LICENSE[] SEC("license") = "GPL";"""
    full, small = compile_bpf(text), compile_bpf(text.replace("struct task { int pid; };", "struct task;"))
    assert prove(full, small, "lean").differences == ("check argument 1: struct task != a declared struct task",)


GRAPH = """#include "mini_bpf.h"
struct node { long rank; struct node *next; };
struct task { int pid; };
struct holder {
	struct task __attribute__((btf_type_tag("kptr"))) *task;
	long head __attribute__((btf_decl_tag("contains:node:next")));
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct holder);
} m SEC(".maps");
struct node *first;
SEC("tp_btf/x") int f(void *ctx) { return bpf_map_lookup_elem(&m, ctx) == first; }
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.mark.parametrize(
    ("edit", "difference"),
    [
        (("struct task { int pid; };", "struct task;"), "struct holder.task: struct task != a declared struct task"),
        (("{ long rank; struct", "{ int rank; struct"), "struct node.rank: long != int"),
        (
            ("contains:node:next", "contains:node:rank"),
            "struct holder: tag 'contains:node:next' of head is in one object only",
        ),
    ],
)
@pytest.mark.parametrize("mode", PROVABLE_MODES)
def test_what_the_kernel_reads_in_a_maps_value(compile_bpf, mode, edit, difference):
    verdict = prove(compile_bpf(GRAPH), compile_bpf(GRAPH.replace(*edit)), mode)
    assert difference in verdict.differences


def test_a_struct_without_a_tag_is_called_by_its_typedef(compile_bpf):
    text = """#include "mini_bpf.h"
    typedef struct { int pid; long more; } task_t;
    task_t last;
    SEC("tp_btf/x") int f(void *ctx) { return last.pid; }
    char LICENSE[] SEC("license") = "GPL";"""
    verdict = prove(compile_bpf(text), compile_bpf(text.replace("long more;", "")), "fields")
    assert "task_t: size 16 != 4" in verdict.differences
    assert verdict.types == ("task_t",)


def test_the_kernel_sizes_what_a_global_subprograms_pointer_points_to(compile_bpf):
    text = """#include "mini_bpf.h"
    struct task { int pid; };
    LINKAGE __noinline int look(struct task *task) { return bpf_get_current_pid_tgid() + (task != 0); }
    SEC("tp_btf/x") int f(void *ctx) { return look(ctx); }
    char LICENSE[] SEC("license") = "GPL";"""
    declared = text.replace("struct task { int pid; };", "struct task;")
    for linkage, equal in (("static", True), ("", False)):
        full, small = (compile_bpf(each.replace("LINKAGE", linkage)) for each in (text, declared))
        assert prove(full, small, "lean").equal == equal


def test_a_ring_buffers_record_is_whole(compile_bpf):
    text = """#include "mini_bpf.h"
    struct event { long time; union { int v4; long v6[2]; }; } __core;
    struct { struct event (*type)[BPF_MAP_TYPE_RINGBUF]; __uint(max_entries, 4096); } events SEC(".maps");
    SEC("tp_btf/x") int f(struct event *event) { return event->time; }
    char LICENSE[] SEC("license") = "GPL";"""
    for mode in PROVABLE_MODES:
        verdict = prove(compile_bpf(text), compile_bpf(text.replace("int v4; ", "")), mode)
        assert verdict.types == ("event",)


def test_a_parameters_struct_is_concerned_where_code_differs(compile_bpf):
    """Without CO-RE, or with a compiler that doesn't record an access, the prototype tells what a function reads."""
    text = """#include "mini_bpf.h"
    struct context { long unused; long used; };
    static inline long used(struct context *ctx)
    {
        return ctx->used;
    }
    SEC("tc") int f(struct context *ctx)
    {
        return used(ctx);
    }
    char LICENSE[] SEC("license") = "GPL";"""
    verdict = prove(compile_bpf(text), compile_bpf(text.replace("long unused;", "")), "fields")
    assert not verdict.equal and verdict.types == ("context",)


def test_the_structs_of_a_function_are_concerned_where_only_a_line_differs(compile_bpf):
    text = """#include "mini_bpf.h"
    struct context { long used; } __core;
    SEC("tc") int f(struct context *ctx) { return ctx->used; }
    char LICENSE[] SEC("license") = "GPL";"""
    verdict = prove(compile_bpf(text), compile_bpf(text.replace("return ctx", "return  ctx")), "fields")
    assert not verdict.equal and verdict.types == ("context",)
