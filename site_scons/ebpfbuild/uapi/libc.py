"""Stands in for headers of the C library that UAPI headers include, or programs for a constant or two.

<linux/icmp.h> includes <linux/if.h>, which includes <sys/socket.h>. A BPF program has no C library, so these declare
what needs none: types, constants, byte orders, and memory functions that clang writes out. <stdio.h> declares nothing:
programs include it out of habit, and a call of printf is told what to take instead.
"""

# Headers that hold what others do.
_SAME_AS = {
    "bits/socket_type.h": ("sys/socket.h",),  # glibc's own, for SOCK_STREAM and its kin
    "errno.h": ("linux/errno.h",),
    "fcntl.h": ("linux/fcntl.h",),
    "features.h": (),
    "net/ethernet.h": ("sys/types.h", "linux/if_ether.h"),
    "net/if.h": ("linux/if.h",),
    "netinet/if_ether.h": ("linux/if_ether.h",),
    "netinet/ip.h": ("netinet/in.h", "linux/ip.h"),
    "sched.h": ("sys/types.h", "linux/sched.h"),
    "signal.h": ("sys/types.h", "linux/signal.h"),
    "stdio.h": ("stddef.h",),
    "stdlib.h": ("stddef.h",),
    "sys/ioctl.h": ("linux/ioctl.h",),
    "sys/stat.h": ("sys/types.h", "linux/stat.h"),
    "sys/syscall.h": ("asm/unistd.h",),
    "sys/time.h": ("linux/time.h",),
    "time.h": ("linux/time.h",),
    "unistd.h": ("sys/types.h",),
}

_ENDIAN = """\
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define htons(x) ((__u16)__builtin_bswap16(x))
#define htonl(x) ((__u32)__builtin_bswap32(x))
#else
#define htons(x) ((__u16)(x))
#define htonl(x) ((__u32)(x))
#endif
#define ntohs(x) htons(x)
#define ntohl(x) htonl(x)
"""
_WIDTHS = (16, 32, 64)
# clang has the letters of each width: __INT64_FMTd__, __UINT64_FMTx__. Source: C11 7.8.1.
_FORMATS = "".join(
    f"#define PRI{letter}{width} __{sign}{width}_FMT{letter}__\n"
    for width in (8, *_WIDTHS)
    for sign, letters in (("INT", "di"), ("UINT", "ouxX"))
    for letter in letters
)


def _orders(same: str, other: str) -> str:
    """Returns the macros of <endian.h>: `same` is the order that the machine has."""
    return "".join(
        f"#define hto{order}{width}(x) {value}\n#define {order}{width}toh(x) {value}\n"
        for width in _WIDTHS
        for order, value in (
            (same, f"((__u{width})(x))"),
            (other, f"((__u{width})__builtin_bswap{width}(x))"),
        )
    )


# Sources: POSIX.1-2017 for what each header declares, endian(3), glibc 2.41 for the names beyond it;
# include/linux/socket.h and include/linux/net.h of Linux 7.2 for the numbers.
_TEXTS = {
    "arpa/inet.h": f"#include <netinet/in.h>\n{_ENDIAN}",
    "assert.h": "#if __STDC_VERSION__ < 202311L\n#define static_assert _Static_assert\n#endif\n",
    "endian.h": f"""\
#include <linux/types.h>
#define LITTLE_ENDIAN __ORDER_LITTLE_ENDIAN__
#define BIG_ENDIAN __ORDER_BIG_ENDIAN__
#define BYTE_ORDER __BYTE_ORDER__
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
{_orders("le", "be")}\
#else
{_orders("be", "le")}\
#endif
""",
    "inttypes.h": f"#include <stdint.h>\n{_FORMATS}",
    "netinet/in.h": """\
#include <sys/socket.h>
#include <linux/in.h>
#include <linux/in6.h>
typedef __u32 in_addr_t;
typedef __u16 in_port_t;
#define SOL_IP 0
#define SOL_IPV6 41
#define INET_ADDRSTRLEN 16
#define INET6_ADDRSTRLEN 46
""",
    "netinet/tcp.h": "#include <sys/types.h>\n#include <linux/tcp.h>\n#define SOL_TCP 6\n",
    "netinet/udp.h": "#include <sys/types.h>\n#include <linux/udp.h>\n#define SOL_UDP 17\n",
    "string.h": """\
#include <stddef.h>
#define memcpy(to, from, size) __builtin_memcpy(to, from, size)
#define memmove(to, from, size) __builtin_memmove(to, from, size)
#define memset(to, byte, size) __builtin_memset(to, byte, size)
#define memcmp(one, other, size) __builtin_memcmp(one, other, size)
""",
    "sys/cdefs.h": """\
#include <linux/stddef.h>
#define __BEGIN_DECLS
#define __END_DECLS
#define __CONCAT(one, other) one##other
#define __STRING(x) #x
""",
    "sys/socket.h": """\
#include <linux/types.h>
#include <linux/socket.h>
#include <asm/socket.h>
typedef __kernel_sa_family_t sa_family_t;
struct sockaddr {
	sa_family_t sa_family;
	char sa_data[14];
};
#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_LOCAL 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define AF_PACKET 17
#define AF_VSOCK 40
#define AF_XDP 44
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define SOCK_SEQPACKET 5
""",
    "sys/types.h": """\
#include <stddef.h>
#include <linux/types.h>
#include <linux/posix_types.h>
typedef __kernel_pid_t pid_t;
typedef __kernel_uid32_t uid_t;
typedef __kernel_gid32_t gid_t;
typedef __kernel_ssize_t ssize_t;
typedef __u8 u_int8_t;
typedef __u16 u_int16_t;
typedef __u32 u_int32_t;
typedef __u64 u_int64_t;
""",
}


def _guarded(name: str, text: str) -> str:
    guard = f"_{name.replace('/', '_').replace('.', '_').upper()}"
    return f"#ifndef {guard}\n#define {guard}\n{text}#endif\n"


LIBC_HEADERS = {
    name: _guarded(name, text)
    for name, text in sorted(
        {
            **{name: "".join(f"#include <{each}>\n" for each in same) for name, same in _SAME_AS.items()},
            **_TEXTS,
        }.items()
    )
}
