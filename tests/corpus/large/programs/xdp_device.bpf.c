/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The same as host_device, before the stack sees the packet: checksums and bytes are written by hand. */
#define XDP
#define TRIES 16
#define PROGRAM "programs/host_device.bpf.c"
#include "host_device.bpf.c"
