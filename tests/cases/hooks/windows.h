/* What the programs here need of eBPF for Windows: types and helpers as its public headers number and lay them out. */
#pragma once

typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2 };

typedef struct _bind_md {
    uint8_t *app_id_start;
    uint8_t *app_id_end;
    uint64_t process_id;
    uint8_t socket_address[16];
    uint8_t socket_address_length;
    uint32_t operation;
    uint8_t protocol;
} bind_md_t;

typedef enum { BIND_OPERATION_BIND, BIND_OPERATION_POST_BIND, BIND_OPERATION_UNBIND } bind_operation_t;
typedef enum { BIND_PERMIT_SOFT, BIND_DENY, BIND_REDIRECT, BIND_PERMIT_HARD } bind_action_t;

typedef struct bpf_sock_addr {
    uint32_t family;
    struct {
        union {
            uint32_t msg_src_ip4;
            uint32_t msg_src_ip6[4];
        };
        uint16_t msg_src_port;
    };
    struct {
        union {
            uint32_t user_ip4;
            uint32_t user_ip6[4];
        };
        uint16_t user_port;
    };
    uint32_t protocol;
    uint32_t compartment_id;
    uint64_t interface_luid;
} bpf_sock_addr_t;

typedef enum { BPF_SOCK_ADDR_VERDICT_REJECT, BPF_SOCK_ADDR_VERDICT_PROCEED_SOFT, BPF_SOCK_ADDR_VERDICT_PROCEED_HARD }
    sock_addr_verdict_t;

typedef struct _bpf_sock_ops {
    uint32_t op;
    uint32_t family;
    struct {
        union {
            uint32_t local_ip4;
            uint32_t local_ip6[4];
        };
        uint32_t local_port;
    };
    struct {
        union {
            uint32_t remote_ip4;
            uint32_t remote_ip6[4];
        };
        uint32_t remote_port;
    };
    uint8_t protocol;
    uint32_t compartment_id;
    uint64_t interface_luid;
} bpf_sock_ops_t;

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
