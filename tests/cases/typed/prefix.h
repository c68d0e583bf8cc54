/* What the programs of pairs.yaml know of a kernel. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define KERNEL __attribute__((preserve_access_index))
#ifdef BAD
#define EITHER(good, bad) bad
#else
#define EITHER(good, bad) good
#endif

typedef __u64 u64;
struct list_head { struct list_head *next; } KERNEL;
struct mm_struct { unsigned long total_vm; } KERNEL;
struct css_set;
struct inode { unsigned int i_uid; } KERNEL;
struct path { void *mnt; } KERNEL;
struct file { struct inode *f_inode; struct path f_path; } KERNEL;
struct task_struct {
	int pid;
	char comm[16];
	struct list_head tasks;
	struct task_struct *real_parent;
	struct mm_struct *mm;
} KERNEL;
struct seq_file;
struct sock_common { unsigned short skc_family; } KERNEL;
struct tcp_sock { __u32 snd_cwnd, mss_cache, snd_ssthresh; } KERNEL;
struct inet_connection_sock { u64 icsk_ca_priv[2]; } KERNEL;
struct tcp_congestion_ops {
	__u32 (*ssthresh)(struct sock *sk);
	void (*init)(struct sock *sk);
	__u32 (*undo_cwnd)(struct sock *sk);
	char name[16];
};
struct bpf_dummy_ops_state { int val; } KERNEL;
struct bpf_dummy_ops { int (*test_1)(struct bpf_dummy_ops_state *state); };
struct sock { struct sock_common __sk_common; int sk_rcvbuf; } KERNEL;
struct sk_buff { __u32 len; } KERNEL;
struct bpf_map { __u32 id; } KERNEL;
struct bpf_iter_meta { struct seq_file *seq; u64 seq_num; } KERNEL;

char _license[] SEC("license") = "GPL";
struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, u64); __type(value, u64); __uint(max_entries, 8); } seen SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} kept SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__type(key, int);
	__type(value, u64);
	__uint(max_entries, 8);
} sockets SEC(".maps");
u64 found;
