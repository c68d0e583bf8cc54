/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * A challenge for a protocol over UDP, a game's for instance: who is unknown must show that his address is his.
 *
 *     client              box                              server
 *       | anything, 16 bytes or more                          |
 *       |------------------>|  dropped                        |
 *       | "TGCH" 0 token    |                                 |
 *       |<------------------|  token = SipHash(source, time)  |
 *       | "TGOK" 0 token    |                                 |
 *       |------------------>|  dropped; the source is known   |
 *       | anything          |                                 |
 *       |------------------>|-------------------------------->|
 *
 * The client's program has to play along; what it said first it says again. A forged source never hears its token, and
 * what it makes the box send is no larger than what it sent itself. Nothing is remembered of who hasn't answered.
 *
 *     stages:
 *       - {id: token, object: udp_token.bc, program: udp_token, constants: {udp_token_port: 27015, udp_token_seconds: 3600}}
 */
#include "reply.h"
#include "siphash.h"

#define TOKEN_TIME (15 * SECOND) /* a token is good for this time, and as long again */
#define KEY_TIME (3600 * SECOND)

extern const __u32 udp_token_port;
extern const __u32 udp_token_seconds; /* that a source stays known after its last frame in the second half of them */

struct message {
	__u32 magic; /* in network order */
	__u32 zero;
	__u64 token; /* as it is: only the box reads it */
};

#define CHALLENGE bpf_htonl(0x54474348) /* "TGCH" */
#define ANSWER bpf_htonl(0x54474f4b)    /* "TGOK" */

struct key_of_an_hour {
	__u64 hour; /* since the clock began, and 1: 0 is nobody's */
	struct siphash_key key;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct key_of_an_hour);
	__uint(max_entries, 2);
} udp_token_keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct address);
	__type(value, __u64); /* until when */
	__uint(max_entries, 65536);
} udp_token_known SEC(".maps");

static __always_inline __u64 random_word(void)
{
	return (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
}

/* The key of the hour that the time is in; `fresh`: the time is now, and a key that isn't there is made. */
static __always_inline struct siphash_key *key_at(__u64 time, int fresh)
{
	__u64 hour = time / KEY_TIME + 1, found;
	__u32 place = hour & 1;
	struct key_of_an_hour *slot = bpf_map_lookup_elem(&udp_token_keys, &place);

	if (!slot)
		return 0;
	found = slot->hour;
	if (found == hour)
		return &slot->key;
	if (!fresh || __sync_val_compare_and_swap(&slot->hour, found, hour) != found)
		return 0; /* another worker makes it: this frame is as good as lost, and sent again */
	slot->key.first = random_word();
	slot->key.second = random_word();
	return &slot->key;
}

/* What the source of the frame has to say; 0 if that can't be known. */
static __always_inline __u64 token_at(struct frame *frame, __u64 time, int fresh)
{
	__u64 ports = (__u64)frame->source_port << 16 | frame->destination_port;
	__u64 words[4] = {frame->source.high, frame->source.low, ports, time / TOKEN_TIME};
	struct siphash_key *key = key_at(time, fresh);

	return key ? siphash_4(words, key) : 0;
}

static __always_inline int is_right(struct frame *frame, __u64 token, __u64 now)
{
	if (!token)
		return 0;
	return token == token_at(frame, now, 1) || (now > TOKEN_TIME && token == token_at(frame, now - TOKEN_TIME, 0));
}

static __always_inline void remember(struct frame *frame, __u64 now)
{
	__u64 until = now + udp_token_seconds * SECOND;

	bpf_map_update_elem(&udp_token_known, &frame->source, &until, BPF_ANY);
}

STAGE(udp_token)
{
	struct message *message;
	__u64 *until, now, token;

	if (!frame)
		return NEXT;
	if (frame->way != WAY_IN || frame->transport != PROTOCOL_UDP || frame->destination_port != udp_token_port)
		return NEXT;
	now = frame_time(frame);
	until = bpf_map_lookup_elem(&udp_token_known, &frame->source);
	if (until && *until > now) {
		if (*until - now < udp_token_seconds * SECOND / 2)
			remember(frame, now);
		return NEXT;
	}
	message = frame_bytes(context, frame->payload, sizeof(*message));
	if (frame->payload_length < sizeof(*message) || !message)
		return XDP_DROP;
	if (message->magic == ANSWER && is_right(frame, message->token, now)) {
		remember(frame, now);
		return XDP_DROP;
	}
	token = token_at(frame, now, 1);
	if (!token || !is_plain(context, frame) || frame->fragment)
		return XDP_DROP;
	if (frame->monitored)
		return XDP_TX;
	message = frame_bytes(context, frame->payload, sizeof(*message));
	if (!message)
		return XDP_DROP;
	message->magic = CHALLENGE;
	message->zero = 0;
	message->token = token;
	return turn_around(context, frame) && finish_udp(context, frame, sizeof(*message)) ? XDP_TX : XDP_DROP;
}
