"""The kernel's UAPI headers and clang's freestanding ones, pinned: <linux/bpf.h>, <asm/ptrace.h>, <stdint.h>."""
