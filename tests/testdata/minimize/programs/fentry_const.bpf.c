#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
SEC("fentry/vfs_open") int BPF_PROG(f, const struct path *path, struct file *file) { return path->dentry->d_inode->i_ino + file->f_flags + file->f_path.mnt->mnt_flags; }
SEC("fexit/do_unlinkat") int BPF_PROG(g, int dfd, struct filename *name, long ret) { return ret + name->refcnt.counter; }
SEC("lsm/file_open") int BPF_PROG(l, struct file *file) { return file->f_cred->uid.val; }
char LICENSE[] SEC("license") = "GPL";
