/* Shared with the program in user space, which includes the same kernel headers. */
#pragma once
#include <linux/types.h>

struct datarec {
	__u64 rx_packets;
	__u64 rx_bytes;
};

#ifndef XDP_ACTION_MAX
#define XDP_ACTION_MAX (XDP_REDIRECT + 1)
#endif
