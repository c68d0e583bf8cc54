/* The contexts of eBPF for Windows, as its public headers lay them out. */
#pragma once

typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;

typedef struct xdp_md_ {
    void *data;
    void *data_end;
    uint64_t data_meta;
    uint32_t ingress_ifindex;
} xdp_md_t;

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
