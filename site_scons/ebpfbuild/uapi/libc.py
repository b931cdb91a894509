"""Stands in for headers of the C library that UAPI headers include, or programs for a constant or two.

<linux/icmp.h> includes <linux/if.h>, which includes <sys/socket.h>. A BPF program has no C library, so these declare
what needs none: types, constants, byte orders, and memory functions that clang writes out.
"""

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

# Sources: POSIX.1-2017 for what each header declares; include/linux/socket.h of Linux 7.2 for the numbers.
LIBC_HEADERS = {
    "arpa/inet.h": f"#ifndef _ARPA_INET_H\n#define _ARPA_INET_H\n#include <netinet/in.h>\n{_ENDIAN}#endif\n",
    "errno.h": "#ifndef _ERRNO_H\n#define _ERRNO_H\n#include <linux/errno.h>\n#endif\n",
    "netinet/if_ether.h": """\
#ifndef _NETINET_IF_ETHER_H
#define _NETINET_IF_ETHER_H
#include <linux/if_ether.h>
#endif
""",
    "netinet/in.h": """\
#ifndef _NETINET_IN_H
#define _NETINET_IN_H
#include <sys/socket.h>
#include <linux/in.h>
#include <linux/in6.h>
#endif
""",
    "string.h": """\
#ifndef _STRING_H
#define _STRING_H
#include <stddef.h>
#define memcpy(to, from, size) __builtin_memcpy(to, from, size)
#define memmove(to, from, size) __builtin_memmove(to, from, size)
#define memset(to, byte, size) __builtin_memset(to, byte, size)
#define memcmp(one, other, size) __builtin_memcmp(one, other, size)
#endif
""",
    "sys/socket.h": """\
#ifndef _SYS_SOCKET_H
#define _SYS_SOCKET_H
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
#endif
""",
    "sys/ioctl.h": "#ifndef _SYS_IOCTL_H\n#define _SYS_IOCTL_H\n#include <linux/ioctl.h>\n#endif\n",
    "sys/time.h": "#ifndef _SYS_TIME_H\n#define _SYS_TIME_H\n#include <linux/time.h>\n#endif\n",
    "time.h": "#ifndef _TIME_H\n#define _TIME_H\n#include <linux/time.h>\n#endif\n",
    "sys/types.h": """\
#ifndef _SYS_TYPES_H
#define _SYS_TYPES_H
#include <stddef.h>
#include <linux/types.h>
#endif
""",
}
