/* Stands for vmlinux.h in the tests of prove: the header that is damaged or minimized. */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef unsigned int __be32;
typedef long count_t;

enum state {
	STATE_OPEN = 1,
	STATE_CLOSED = 7,
	STATE_LAST = 8,
};

struct proto {
	char name[32];
	int (*connect)(struct sock *sk, const char *address, int length);
	int inuse;
};

struct common {
	__be32 daddr;
	__be32 saddr;
	unsigned short dport;
	unsigned short num;
};

struct lock {
	union {
		int slock;
		struct {
			unsigned char locked;
			unsigned char pending;
		};
	};
};

struct load {
	unsigned long weight;
	unsigned int inverse;
};

struct sock {
	struct common common;
	int family;
	unsigned int reuse : 4;
	unsigned int ipv6only : 1;
	struct lock lock;
	struct proto *proto;
	const volatile struct net *net;
	enum state state;
	count_t bytes;
	long backlog[4];
	struct load load;
	struct load loads[8];
};

struct net {
	int ifindex;
	struct proto *first;
};

struct pt_regs {
	unsigned long di;
	unsigned long si;
	unsigned long ax;
};

struct tuple {
	__be32 daddr;
	unsigned char kind;
	unsigned short port;
} __attribute__((packed));

struct flow {
	struct tuple tuple;
	long bytes;
	char names[2][8];
	int kind : 5;
	const struct net *net;
};

struct untouched {
	int one;
	int two;
};

extern int bpf_sock_check(struct sock *sk, unsigned int flags) __attribute__((section(".ksyms"), weak));

#pragma clang attribute pop
#endif
