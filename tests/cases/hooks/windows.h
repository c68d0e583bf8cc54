/* What the programs here need of eBPF for Windows: helpers and types of maps as its public headers number them. */
#pragma once

#include "windows_types.h"

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2 };

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, uint64_t flags) = (void *)2;
static uint64_t (*bpf_get_current_pid_tgid)(void) = (void *)19;
static uint64_t (*bpf_get_current_logon_id)(const void *ctx) = (void *)20;
static int (*bpf_is_current_admin)(const void *ctx) = (void *)21;
static uint64_t (*bpf_get_socket_cookie)(const void *ctx) = (void *)26;
static uint64_t (*bpf_get_current_process_start_key)(void) = (void *)33;
static long long (*bpf_get_current_thread_create_time)(void) = (void *)34;

/* Each of these has its number in one type of program only. */
static uint64_t (*bpf_sock_addr_get_current_pid_tgid)(const void *ctx) = (void *)0x10000;
static int (*bpf_sock_addr_set_redirect_context)(const void *ctx, const void *data, uint32_t size) = (void *)0x10001;
static long long (*bpf_sock_ops_get_flow_id)(const void *ctx) = (void *)0x10000;
