#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

enum {
	ANON_ONE = 1,
	ANON_TWO = 2,
};

enum color {
	RED = 0,
	GREEN = 4294967295,
};

enum wide {
	WIDE = 18446744073709551615ULL,
};

typedef unsigned char __u8;

typedef short unsigned int __u16;

typedef unsigned int __u32;

typedef long long unsigned int __u64;

typedef int __s32;

typedef __u32 u32;

typedef __u64 u64;

typedef _Bool bool;

typedef int __attribute__((mode(byte))) tiny_t;

typedef u32 words_t[4];

typedef struct {
	int counter;
} atomic_t;

typedef struct kuid {
	u32 val;
} kuid_t;

struct list {
	struct list *next;
	struct list *prev;
};

struct unused {
	long int nothing[64];
};

struct inode;

struct file;

typedef int (*opener_t)(struct inode *, struct file *);

typedef struct pipe *pipe_t;

typedef const struct secret *secret_t;

typedef struct buffer buffer_t;

struct slot {
	u32 first;
	u32 second;
};

typedef struct slot slots_t[2];

struct event_kernel;

struct got;

struct dentry;

typedef int handler_t(struct event_kernel *);

typedef void (*(*getter_t)(int))(struct got *);

typedef const char (* const names_t)[32];

struct buffer {
	int length;
};

struct pipe {
	int readers;
};

struct secret {
	int key;
};

struct event_kernel {
	int id;
};

struct got {
	int it;
};

struct inode {
	u64 i_ino;
	const struct inode_operations *i_op;
	struct super_block *i_sb;
	atomic_t i_count;
};

struct super_block {
	u32 s_dev;
	struct list s_list;
};

struct inode_operations {
	int (*create)(struct inode *, struct dentry *, bool);
	struct dentry * (*lookup)(struct inode *, unsigned int);
};

struct dentry {
	struct inode *d_inode;
	struct name_text {
		u32 hash;
	} d_name;
	enum {
		DENTRY_LIVE = 0,
		DENTRY_DEAD = 1,
	} d_state;
};

struct ns_part {
	u32 inum;
	struct ns_ops *ops;
};

struct ns_ops {
	int type;
};

struct ns {
	struct ns_part;
	u32 level;
};

struct packed_one {
	__u8 kind;
	u64 value;
	tiny_t tiny;
} __attribute__((packed));

struct flags {
	__u8 before;
	u32 low: 3;
	u32 high: 7;
	u32: 0;
	u64 last: 40;
};

struct bag {
	struct list *arr[3];
	struct flags (*matrix)[2];
	union {
		struct pipe *by_pointer;
		struct {
			buffer_t *buffer;
			u64 aligned;
		} __attribute__((aligned(16)));
	};
	pipe_t pipe;
	slots_t slots;
	int items[0];
};

struct file {
	const struct file_operations *f_op;
	struct inode *f_inode;
	struct bag f_bag;
	opener_t f_opener;
	secret_t f_secret;
	kuid_t f_uid;
	void *private;
	words_t f_words;
};

struct file_operations {
	opener_t open;
	long int (*read)(struct file *, const struct secret *, u64);
};

struct task {
	int pid;
	struct list tasks;
	struct file *files[2];
	struct task *parent;
	struct ns *ns;
	const struct cred *cred;
	const struct cred *real_cred;
	const struct secret *once;
	struct vm *mm;
};

struct cred {
	kuid_t uid;
	kuid_t euid;
};

struct vm {
	u64 pgd;
	struct task *owner;
};

union both {
	struct pipe in;
	struct list out;
};

#ifndef BPF_NO_KFUNC_PROTOTYPES
extern struct task *task_acquire(struct task *p, const struct ns_ops *ops) __weak __ksym;
extern void __attribute__((address_space(1))) *arena_alloc(void *p__map, u32 count) __weak __ksym;
#endif

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
