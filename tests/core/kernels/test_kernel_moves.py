"""What moved in Linux: found in either direction, where it is there, since which release, with what to write."""

import re

import pytest
from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.types import Kind
from ebpfbuild.elf.reader import Elf
from ebpfbuild.kernels import moves
from ebpfbuild.kernels.kernel import Kernel
from ebpfbuild.kernels.matrix import check
from ebpfbuild.spec.object import ObjectSpec

COMMON = """#include "mini_bpf.h"
struct block_device { int bd_partno; struct gendisk *bd_disk; };
struct gendisk { int number; };
struct list_head { struct list_head *next; };
struct percpu_counter { long count; };
"""
OLD = """struct task_struct { volatile long state; int cpu; };
struct bio { struct gendisk *bi_disk; unsigned char bi_partno; };
struct request_queue { int id; };
struct request { struct request_queue *q; struct gendisk *rq_disk; };
struct inode { long i_ctime; };
struct layout { void *base; unsigned int size; };
struct module { struct layout core_layout; };
struct kernfs_node { struct kernfs_node *parent; };
struct cgroup { long ancestor_ids[1]; };
struct kmem_cache_cpu { struct gendisk *page; };
struct mm_struct { struct list_head *mmap; };
struct module_layout { int x; };
struct all { struct task_struct a; struct bio b; struct request c; struct inode d; struct module e; struct kernfs_node f; struct cgroup g;
	struct kmem_cache_cpu h; struct request_queue q; struct mm_struct i; struct module_layout j; struct block_device k; struct percpu_counter l; } x SEC(".data");
__attribute__((used)) __noinline int _do_fork(struct task_struct *t) { return t->cpu; }
"""
NEW = """struct thread_info { int cpu; };
struct task_struct { struct thread_info thread_info; unsigned int __state; };
struct bio { struct block_device *bi_bdev; };
struct request_queue { int id; struct gendisk *disk; };
struct request { struct request_queue *q; };
struct inode { long i_ctime_sec; };
struct module_memory { void *base; unsigned int size; };
struct module { struct module_memory mem[5]; };
struct kernfs_node { struct kernfs_node *__parent; };
struct cgroup { struct cgroup *ancestors[1]; };
struct kmem_cache_cpu { struct gendisk *slab; };
struct mm_struct { struct percpu_counter mm_mt; };
struct all { struct task_struct a; struct bio b; struct request c; struct inode d; struct module e; struct kernfs_node f; struct cgroup g;
	struct kmem_cache_cpu h; struct request_queue q; struct mm_struct i; struct block_device k; struct percpu_counter l; } x SEC(".data");
__attribute__((used)) __noinline int kernel_clone(struct task_struct *t) { return t->thread_info.cpu; }
"""
ROWS = [  # struct and what is in it, the field, where it fails, what is there, what to write
    ("task_struct { volatile long state; }", "state", "new", "but `unsigned int __state` (since Linux 5.14)", "then x->state, else BPF_CORE_READ((struct task_struct___5_14 *)x, __state)"),
    ("task_struct { unsigned int __state; }", "__state", "old", "but `volatile long state` (before Linux 5.14)", "struct task_struct___before_5_14 { volatile long state; }"),
    ("task_struct { int cpu; }", "cpu", "new", "but `thread_info.cpu` (since Linux 5.16)", "BPF_CORE_READ((struct task_struct___5_16 *)x, thread_info.cpu)"),
    ("bio { void *bi_disk; }", "bi_disk", "new", "but `bi_bdev->bd_disk` (since Linux 5.12)", "x, bi_bdev, bd_disk)"),
    ("bio { void *bi_bdev; }", "bi_bdev", "old", "but `struct gendisk *bi_disk` (before Linux 5.12)", "x, bi_disk)"),
    ("request { void *rq_disk; }", "rq_disk", "new", "but `q->disk` (since Linux 5.17)", "x, q, disk)"),
    ("request_queue { void *disk; }", "disk", "old", "struct request_queue has no disk before Linux 5.15", "// BPF_CORE_READ(rq, rq_disk) of its struct request"),
    ("inode { long i_ctime; }", "i_ctime", "new", "but `long i_ctime_sec` (since Linux 6.11)", "inode___6_11"),
    ("module { struct { void *base; } core_layout; }", "core_layout.base", "new", "but `mem[0].base` (since Linux 6.4)", "struct module___6_4 { struct module_memory___6_4 mem[5]; }"),
    ("kernfs_node { void *parent; }", "parent", "new", "but `struct kernfs_node *__parent` (since Linux 6.15)", "x, __parent)"),
    ("cgroup { long ancestor_ids[1]; }", "ancestor_ids[0]", "new", "but `struct cgroup *ancestors[1]` (since Linux 6.1)", "// the cgroups themselves: ancestors[level]->kn->id"),
    ("kmem_cache_cpu { void *page; }", "page", "new", "but `struct gendisk *slab` (since Linux 5.17)", "x, slab)"),
    ("mm_struct { void *mmap; }", "mmap", "new", "but `struct percpu_counter mm_mt` (since Linux 6.1)", "// a maple tree: bpf_find_vma()"),
    ("module_layout { int x; }", "x", "new", "no type module_layout in its vmlinux, but struct module_memory (since Linux 6.4)", "bpf_core_type_exists(struct module_layout"),
]  # fmt: skip
PLACES = [
    ("kprobe/_do_fork", "new", "but kernel_clone (since Linux 5.10)", 'SEC("?kprobe/kernel_clone")'),
    ("fentry/kernel_clone", "old", "but _do_fork (before Linux 5.10)", 'SEC("?fentry/_do_fork")'),
    ("iter/task_vma", "old", "no function bpf_iter_task_vma: it came with Linux 5.12", 'SEC("?iter/task_vma")'),
]


@pytest.fixture(scope="module")
def findings(compile_bpf):
    """What is found of a program for each row on an old and a new kernel, by the program's name."""

    def kernel(name, release, text):
        data = compile_bpf(COMMON + text, flags=("-Wno-unused",))
        return Kernel(name, "x86_64", release, Btf.parse(Elf.parse(data).section(".BTF").data, name, None))

    kernels = [kernel("old", "5.9.3", OLD), kernel("new", "7.2.1", NEW)]
    lines = ['#include "mini_bpf.h"', 'char LICENSE[] SEC("license") = "GPL";']
    for number, (struct, field, *_) in enumerate(ROWS):
        tag, _, body = struct.partition(" ")
        lines.append(f"struct {tag}___r{number} {body} __core;")
        lines.append(f'SEC("raw_tp/x") long row{number}(void *ctx) {{ return (long)((struct {tag}___r{number} *)ctx)->{field}; }}')
    lines += [f'SEC("{section}") long place{number}(void *ctx) {{ return 0; }}' for number, (section, *_) in enumerate(PLACES)]
    spec = ObjectSpec.from_bytes(compile_bpf("\n".join(lines), flags=("-Wno-unused",)), "one.bpf.o")
    return check([("x", "x86_64", spec)], kernels).findings()


@pytest.mark.parametrize("number", range(len(ROWS)), ids=lambda number: f"{ROWS[number][0].split()[0]}.{ROWS[number][1]}")
def test_a_field_that_moved_is_found_where_it_is(findings, number):
    _, _, fails_on, there, fix = ROWS[number]
    found = [each for each in findings if each.program == f"row{number}" and each.problem.kind in ("field", "type") and fails_on in each.kernels]
    assert found and fails_on in found[0].kernels and found[0].problem.fails, findings
    assert any(there in text for text in found[0].there), found[0].there
    assert fix in "\n".join(found[0].problem.fix), found[0].problem.fix


def test_what_is_written_compiles_beside_a_header_that_has_none_of_it(findings, compile_bpf):
    """The structs on the way are flavors: a header of the other kernel lacks them, or has them otherwise."""
    lines = ['#include "mini_bpf.h"', *sorted({f"struct {row[0].split()[0]} {{ int none; }};" for row in ROWS})]
    lines += [text for each in findings for text in each.problem.fix if text.startswith("struct ")]
    named = re.findall(r"struct (\w+___\w+) \{", "\n".join(lines))
    lines = list(dict.fromkeys(lines))
    lines += [f"int size_{number} = sizeof(struct {name});" for number, name in enumerate(sorted(set(named)))]
    assert {"request_queue___5_17", "module_memory___6_4", "thread_info___5_16"} <= set(named)
    compile_bpf("\n".join(lines), flags=("-Wno-unused", "-Werror=incompatible-pointer-types"))


def test_the_guard_asks_for_the_program_s_own_form(findings):
    """The first member on the kernel's path may be there where the rest isn't: request.q is older than its disk."""
    guards = [text for each in findings for text in each.problem.fix if ", else BPF_CORE_READ(" in text]
    assert len(guards) > 8
    assert all(re.match(r"if \(bpf_core_field_exists\((x->[\w.\[\]]+)\)\)  // then \1, else BPF_CORE_READ\(", text) for text in guards), guards


def test_an_index_goes_where_the_kernel_has_it(compile_bpf):
    """mm_struct.rss_stat, either way, and a module's memory by its number."""
    old = "struct counts { struct { long counter; } count[4]; }; struct layout { void *base; };"
    old += "struct mm_struct { struct counts rss_stat; }; struct module { struct layout core_layout, init_layout; };"
    new = "struct counter { long count; }; struct memory { void *base; };"
    new += "struct mm_struct { struct counter rss_stat[4]; }; struct module { struct memory mem[7]; };"
    end = "struct all { struct mm_struct a; struct module b; } x __attribute__((section(\".data\")));"
    old, new = (Btf.parse(Elf.parse(compile_bpf(each + end)).section(".BTF").data, "", None) for each in (old, new))
    asked = [(new, "rss_stat.count[2].counter", "rss_stat[2].count"), (old, "rss_stat[3].count", "rss_stat.count[3].counter"),
             (old, "mem[0].base", "core_layout.base"), (old, "mem[4].base", "init_layout.base"), (new, "init_layout.base", "mem[4].base")]  # fmt: skip
    for btf, path, form in asked:
        kernel = Kernel("k", "x86_64", "6.1" if btf is old else "6.6", btf)
        moved = moves.moved_field(btf.find("mm_struct" if "rss" in path else "module", Kind.STRUCT), path, kernel)
        assert moved and moved.form == form


@pytest.mark.parametrize("number", range(len(PLACES)))
def test_a_function_and_an_iterator_that_are_not_there_yet_or_no_more(findings, number):
    _, fails_on, there, fix = PLACES[number]
    found = next(each for each in findings if each.program == f"place{number}" and fails_on in each.kernels)
    assert any(there in text for text in found.there), found.there
    assert fix in "\n".join(found.problem.fix), found.problem.fix


def test_a_row_says_since_when_and_no_two_say_unlike_things():
    tables = [row for rows in moves._fields().values() for row in rows] + moves._rows(moves.TYPES) + moves._rows(moves.FUNCTIONS)
    assert len(tables) > 60 and all(re.fullmatch(r"[4-7]\.\d{1,2}", row.kernel) for row in tables)
    assert all(row.before != row.since and (row.note or "-" not in (row.before, row.since)) for row in tables)
    for rows in moves._fields().values():
        assert len({(row.before, row.since) for row in rows}) == len(rows)
