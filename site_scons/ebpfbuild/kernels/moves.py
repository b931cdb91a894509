"""What is known to have moved from one Linux to another: fields, types, functions, parameters, iterators.

A row counts only where the kernel's own BTF has what it names, so an advice never points to what isn't there. Sources:
the kernel's history, by the commits that bcc's core_fixes.bpf.h and the compatibility code of public programs name.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import NamedTuple

from ..btf.types import Kind, Member, Type
from ..core_relo.names import essential_name
from ..errors import BtfError
from .kernel import Kernel

# struct, the path before, the path since, the first Linux with the latter; `-` for none. Behind `|` what to do then.
# `[i]` is the index that the program asks for.
FIELDS = """\
task_struct state __state 5.14
task_struct cpus_allowed cpus_mask 5.3
task_struct cpu thread_info.cpu 5.16
task_struct pids thread_pid 4.19
mm_struct mmap_sem mmap_lock 5.8
mm_struct rss_stat.count[i].counter rss_stat[i].count 6.2
mm_struct mmap mm_mt 6.1 | a maple tree: bpf_find_vma(), or bpf_iter_task_vma_new() since 6.7
vm_area_struct vm_next - 6.1 | bpf_find_vma() with vm_end, or bpf_iter_task_vma_new() since 6.7
request_queue backing_dev_info disk->bdi 5.15
request_queue - disk 5.15 | BPF_CORE_READ(rq, rq_disk) of its struct request, which went with 5.17
request rq_disk q->disk 5.17
bio bi_disk bi_bdev->bd_disk 5.12
bio bi_partno bi_bdev->bd_partno 5.12
block_device bd_inode bd_mapping->host 6.10
block_device bd_partno __bd_flags.counter 6.10 | its low byte
inode i_ctime __i_ctime 6.6
inode i_ctime i_ctime_sec 6.11
inode __i_ctime i_ctime_sec 6.11
inode i_mtime __i_mtime 6.7
inode i_mtime i_mtime_sec 6.11
inode __i_mtime i_mtime_sec 6.11
inode i_atime __i_atime 6.7
inode i_atime i_atime_sec 6.11
inode __i_atime i_atime_sec 6.11
dentry d_iname d_shortname.string 6.14
dentry d_subdirs d_children 6.8
dentry d_child d_sib 6.8
file f_count f_ref.refcnt 6.13
kernfs_node parent __parent 6.15
kernfs_node id.id id 5.5
cgroup ancestor_ids ancestors 6.1 | the cgroups themselves: ancestors[level]->kn->id
module core_layout.base mem[0].base 6.4
module core_layout.size mem[0].size 6.4
module init_layout.base mem[4].base 6.4
kmem_cache_cpu page slab 5.17
page slab_cache - 5.17 | ((struct slab *)page)->slab_cache
renamedata old_mnt_userns old_mnt_idmap 6.3
renamedata new_mnt_userns new_mnt_idmap 6.3
renamedata old_mnt_idmap mnt_idmap 6.18
renamedata old_dir old_parent->d_inode 6.17
renamedata new_dir new_parent->d_inode 6.17
pipe_inode_info nrbufs head 5.5 | head - tail of them are in use
pipe_inode_info curbuf tail 5.5
sk_buff vlan_present vlan_all 6.2 | 0 where there is none
sk_buff mono_delivery_time tstamp_type 6.11
bpf_map memory - 5.11 | memory is charged to a memcg, no more counted in pages
"""
# type before, type since, the first Linux with the latter
TYPES = """\
mm_rss_stat percpu_counter 6.2
module_layout module_memory 6.4
hd_struct block_device 5.11
kernfs_node_id - 5.5 | id of struct kernfs_node is a u64
page folio 5.16
page slab 5.17
user_namespace mnt_idmap 6.3
- renamedata 5.12 | the parameters of vfs_rename()
- proto_accept_arg 6.10 | inet_csk_accept() has flags, err and kern
trace_event_raw_kmem_alloc trace_event_raw_kmalloc 6.1
trace_event_raw_kmem_alloc trace_event_raw_kmem_cache_alloc 6.1
trace_event_raw_kmem_alloc_node trace_event_raw_kmalloc 6.1
trace_event_raw_kmem_free trace_event_raw_kfree 5.12
trace_event_raw_kmem_free trace_event_raw_kmem_cache_free 5.12
trace_event_raw_block_rq_complete trace_event_raw_block_rq_completion 5.18
"""
# function before, function since, the first Linux with the latter
FUNCTIONS = """\
blk_account_io_start __blk_account_io_start 5.16 | SEC("?tp_btf/block_io_start") since 6.5
blk_account_io_done __blk_account_io_done 5.16 | SEC("?tp_btf/block_io_done") since 6.5
generic_make_request submit_bio_noacct 5.9
_do_fork kernel_clone 5.10
do_sys_open do_sys_openat2 5.6
do_unlinkat filename_unlinkat 7.0
do_rmdir filename_rmdir 7.0
do_mkdirat filename_mkdirat 7.0
do_renameat2 filename_renameat2 7.0
do_linkat filename_linkat 7.0
do_symlinkat filename_symlinkat 7.0
do_mknodat filename_mknodat 7.0
do_filp_open do_file_open 7.0
migrate_misplaced_page migrate_misplaced_folio 6.7
__page_cache_alloc filemap_alloc_folio 5.16
__page_cache_alloc filemap_alloc_folio_noprof 6.10
filemap_alloc_folio filemap_alloc_folio_noprof 6.10
mark_page_accessed folio_mark_accessed 5.16
add_to_page_cache_lru filemap_add_folio 5.16
mark_buffer_dirty folio_mark_dirty 5.16
__kmalloc __kmalloc_noprof 6.10
kmem_cache_alloc kmem_cache_alloc_noprof 6.10
__alloc_pages __alloc_pages_noprof 6.10
vmalloc vmalloc_noprof 6.10
kfree_skb kfree_skb_reason 5.17
kfree_skb sk_skb_reason_drop 6.11
kfree_skb_reason sk_skb_reason_drop 6.11
scheduler_tick sched_tick 6.9
__send_signal __send_signal_locked 5.19
"""
# function or tracepoint whose parameters changed, and the first Linux with the newer ones
PARAMETERS = {
    "inet_csk_accept": ("6.10",),
    "tcp_recvmsg": ("5.19", "7.1"),
    "udp_recvmsg": ("5.19", "7.1"),
    "vfs_rename": ("5.12",),
    "vfs_create": ("5.12", "6.3", "6.19"),
    "vfs_mkdir": ("5.12", "6.3", "6.15", "6.19"),
    "vfs_unlink": ("5.12", "6.3", "6.19"),
    "sched_switch": ("5.18",),
    "kfree_skb": ("5.17", "6.11"),
    "block_rq_insert": ("5.11",),
    "block_rq_issue": ("5.11",),
    "block_bio_queue": ("5.11",),
}
# iterators, each with the first Linux that has it
ITERATORS = """\
task 5.8 task_file 5.8 bpf_map 5.8 ipv6_route 5.8 netlink 5.8 tcp 5.9 udp 5.9 bpf_map_elem 5.9 bpf_sk_storage_map 5.9
bpf_prog 5.9 sockmap 5.10 task_vma 5.12 unix 5.16 bpf_link 5.19 ksym 6.0 cgroup 6.1 kmem_cache 6.13 dmabuf 6.16"""
NONE = "-"
MAX_DEPTH = 8  # of anonymous structs in one another
STEP = re.compile(r"(->|\.|)(\w+)((?:\[(?:\d+|i)\])*)")


class Move(NamedTuple):
    """A row of a table: its two forms, the first Linux with the latter, and what to do besides; `-` for no form."""

    before: str
    since: str
    kernel: str
    note: str


class Moved(NamedTuple):
    """What a kernel has in the place of something: its form there, whether that is the newer one, since when."""

    form: str
    is_newer: bool
    kernel: str
    note: str

    @property
    def when(self) -> str:
        """Says in words when the kernel's form counts."""
        return f"since Linux {self.kernel}" if self.is_newer else f"before Linux {self.kernel}"

    @property
    def flavor(self) -> str:
        """The end of a flavor's name for a struct that has this form."""
        number = self.kernel.replace(".", "_")
        return number if self.is_newer else f"before_{number}"


def moved_field(struct: Type, path: str, kernel: Kernel) -> Moved | None:
    """Returns where a kernel's struct has what is at a path, such as `rss_stat[1].count`, on other kernels."""
    index = re.search(r"\[\d+\]", path)
    for move in _fields().get(essential_name(struct.name), ()):
        for form, other, is_newer in ((move.since, move.before, True), (move.before, move.since, False)):
            if _asks(path, other) and (_has_path(struct, form) or _is_gone(form, is_newer, move, kernel)):
                return Moved(form.replace("[i]", index[0] if index else "[0]"), is_newer, move.kernel, move.note)
    return None


def _asks(path: str, form: str) -> bool:
    """Returns True for a path that begins with a form's first member, and its number where the form has one."""
    asked, known = STEP.match(path), STEP.match(form)
    if not asked or not known or asked[2] != known[2]:
        return False
    return known[3] in ("", "[i]", asked[3]) or not asked[3]


def moved_type(name: str, kernel: Kernel) -> Moved | None:
    """Returns the struct that a kernel has in the place of one of that name."""
    return _moved(_rows(TYPES), name, kernel, lambda form: bool(kernel.btf.find(form, Kind.STRUCT)))


def moved_function(name: str, kernel: Kernel) -> Moved | None:
    """Returns the function that a kernel has in the place of one of that name."""
    return _moved(_rows(FUNCTIONS), name, kernel, lambda form: bool(kernel.function(form)))


def parameters_since(name: str) -> str:
    """Says with which releases a function's or tracepoint's parameters changed; empty where none is known."""
    return f"; they changed with Linux {' and '.join(PARAMETERS[name])}" if name in PARAMETERS else ""


def iterator_since(name: str) -> str:
    """Returns the first Linux that has an iterator; empty for one that isn't known."""
    words = ITERATORS.split()
    return dict(zip(words[::2], words[1::2])).get(name, "")


def members_of(kind: Type, depth: int = 0) -> Iterator[Member]:
    """Yields a struct's members, and those of the anonymous ones in it."""
    for member in kind.members if depth < MAX_DEPTH else ():
        if member.name:
            yield member
        else:
            yield from members_of(kind.btf.resolve(member.type), depth + 1)


def _moved(rows: Iterable[Move], name: str, kernel: Kernel, has: Callable[[str], bool]) -> Moved | None:
    for move in rows:
        for form, other, is_newer in ((move.since, move.before, True), (move.before, move.since, False)):
            if other == name and (_is_gone(form, is_newer, move, kernel) if form == NONE else has(form)):
                return Moved(form, is_newer, move.kernel, move.note)
    return None


def _is_gone(form: str, is_newer: bool, move: Move, kernel: Kernel) -> bool:
    """Returns True where a row says that there is nothing, and the kernel's release is one of which it says so."""
    return form == NONE and kernel.version != (0, 0) and kernel.is_at_least(move.kernel) == is_newer


@cache
def _fields() -> dict[str, list[Move]]:
    found: dict[str, list[Move]] = {}
    for line in FIELDS.splitlines():
        struct, _, row = line.partition(" ")
        found.setdefault(struct, []).append(_row(row))
    return found


@cache
def _rows(table: str) -> list[Move]:
    return [_row(line) for line in table.splitlines()]


def _row(line: str) -> Move:
    words, _, note = line.partition(" | ")
    before, since, kernel = words.split()
    return Move(before, since, kernel, note)


def first_of(path: str) -> str:
    """Returns the first member of a path; empty for none."""
    found = STEP.match(path)
    return found[2] if found else ""


def _has_path(struct: Type, path: str) -> bool:
    """Returns True if a struct has a path such as `disk->bdi` or `rss_stat[0].count`."""
    btf, kind = struct.btf, struct
    try:
        for arrow, name, indices in STEP.findall(path):
            kind = btf.resolve(kind.id)
            if (arrow == "->") != (kind.kind == Kind.PTR):
                return False
            kind = btf.resolve(kind.type) if arrow == "->" else kind
            member = next((each for each in members_of(kind) if each.name == name), None)
            if member is None:
                return False
            kind = btf.resolve(member.type)
            for _ in re.findall(r"\[", indices):
                if kind.kind != Kind.ARRAY:
                    return False
                kind = btf.resolve(kind.type)
    except BtfError:
        return False
    return path != NONE
