/* A kernel's types, a few of them, for machines whose kernel tells none. */
typedef unsigned int u32;
typedef unsigned long long u64;
typedef _Bool bool;

struct list_head { struct list_head *next, *prev; };
struct css_set { int refcount; };
struct mm_struct { unsigned long total_vm; };
struct path { void *mnt; void *dentry; };
struct inode { unsigned int i_uid; };
struct file { struct inode *f_inode; struct path f_path; };
struct signal_struct { int nr_threads; };
struct task_struct {
	u32 flags;
	int pid, tgid;
	char comm[16];
	struct list_head tasks;
	struct task_struct *real_parent, *group_leader;
	struct mm_struct *mm;
	struct css_set *cgroups;
	struct signal_struct *signal;
	u32 exiting : 1, waiting : 1;
	union { u64 word; struct mm_struct *other; };
};
struct task_struct__safe_rcu {
	struct css_set *cgroups;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
};
struct seq_file { char *buf; u64 size; };
struct sock_common { unsigned short skc_family; int skc_refcnt; };
struct sock { struct sock_common __sk_common; int sk_rcvbuf; };
struct inet_connection_sock { struct sock sk; u64 icsk_ca_priv[4]; };
struct tcp_sock { struct inet_connection_sock inet_conn; u32 snd_cwnd, mss_cache, snd_ssthresh; };
struct tcp_congestion_ops {
	u32 (*ssthresh)(struct sock *sk);
	void (*init)(struct sock *sk);
	u32 (*undo_cwnd)(struct sock *sk);
	char name[16];
};
struct bpf_struct_ops_tcp_congestion_ops { int common; struct tcp_congestion_ops data; };
struct bpf_dummy_ops_state { int val; };
struct bpf_dummy_ops { int (*test_1)(struct bpf_dummy_ops_state *state); };
struct bpf_struct_ops_bpf_dummy_ops { int common; struct bpf_dummy_ops data; };
struct sk_buff { u32 len; char cb[48]; };
struct bpf_map { u32 id, max_entries; };
struct bpf_iter_meta { union { struct seq_file *seq; u64 : 64; }; u64 session_id, seq_num; };
struct bpf_iter_meta__safe_trusted { struct seq_file *seq; };

typedef void (*btf_trace_sched_switch)(
	void *data, bool preempt, struct task_struct *prev, struct task_struct *next, u32 prev_state);
typedef void (*btf_trace_sys_enter)(void *data, struct list_head *regs, long id);
typedef void (*btf_trace_kfree_skb)(void *data, struct sk_buff *skb, void *location, int reason, struct sock *rx_sk);

struct { btf_trace_sched_switch a; btf_trace_sys_enter b; btf_trace_kfree_skb c; } tracepoints;
struct list_head list_head; struct css_set css_set; struct mm_struct mm_struct; struct path path; struct inode inode;
struct file file; struct signal_struct signal_struct; struct task_struct task_struct; struct seq_file seq_file;
struct sock_common sock_common; struct sock sock; struct tcp_sock tcp_sock; struct sk_buff sk_buff; struct bpf_map bpf_map;
struct bpf_iter_meta bpf_iter_meta; struct inet_connection_sock inet_connection_sock;
struct tcp_congestion_ops tcp_congestion_ops; struct bpf_struct_ops_tcp_congestion_ops tcp_ops;
struct bpf_dummy_ops bpf_dummy_ops; struct bpf_struct_ops_bpf_dummy_ops dummy_ops; struct bpf_dummy_ops_state dummy_state;
int bpf_dummy_ops__test_1(struct bpf_dummy_ops_state *cb__nullable) { return 0; }
struct task_struct__safe_rcu task_struct__safe_rcu; struct bpf_iter_meta__safe_trusted bpf_iter_meta__safe_trusted;

struct bpf_iter__task { struct bpf_iter_meta *meta; } iter_task;
struct bpf_iter__tcp { struct bpf_iter_meta *meta; } iter_tcp;
struct bpf_iter__sockmap { struct bpf_iter_meta *meta; } iter_sockmap;
struct bpf_iter__bpf_map_elem { struct bpf_iter_meta *meta; } iter_bpf_map_elem;
int bpf_iter_no_target(struct bpf_iter_meta *meta) { return 0; }
int bpf_iter_task(struct bpf_iter_meta *meta, struct task_struct *task) { return 0; }
int bpf_iter_tcp(struct bpf_iter_meta *meta, struct sock_common *sk_common, u32 uid) { return 0; }
int bpf_iter_bpf_map_elem(struct bpf_iter_meta *meta, struct bpf_map *map, void *key, void *value) { return 0; }
int bpf_iter_sockmap(struct bpf_iter_meta *meta, struct bpf_map *map, void *key, struct sock *sk) { return 0; }
int bpf_lsm_file_open(struct file *file) { return 0; }
int bpf_lsm_getprocattr(struct task_struct *task) { return 0; }
int bpf_lsm_inode_xattr_skipcap(const char *name) { return 0; }
void bpf_lsm_task_free(struct task_struct *task) {}
int do_exit(long code) { return 0; }
int vfs_read_one(struct file *file, char *buf, unsigned long count, u32 small) { return 0; }
struct large { u64 numbers[3]; };
int by_value(struct path path, u32 after) { return 0; }
int by_large_value(struct large large) { return 0; }
int dentry_open(struct path *path, int flags) { return 0; }
