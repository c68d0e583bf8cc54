// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * SYN cookies in front of a server: whoever asks for a connection must hear the answer before the server learns of it.
 *
 *     client                        box                          server         mode `proxy`
 *       | SYN a                      |                              |
 *       |--------------------------->|                              |   syn_proxy_answer: nothing is kept
 *       |     SYN-ACK cookie, window 0                              |
 *       |<---------------------------|                              |
 *       | ACK cookie + 1             | SYN a                        |   syn_proxy_flows: the cookie is right,
 *       |--------------------------->|----------------------------->|   a flow begins: OPENING
 *       |                            |                    SYN-ACK s |
 *       |    byte before the first, window w                        |   OPEN: delta = cookie - s
 *       |<---------------------------|<-----------------------------|
 *       | ACK cookie + 1             | ACK s + 1                    |   translated from now on (syn_flow.h)
 *       |--------------------------->|----------------------------->|
 *
 * A stage has one frame to send for each that comes, and a handshake of two halves lacks one. So what tells the client
 * that it may send is made such that it must answer: a keep-alive (RFC 9293, section 3.8.4; RFC 1122, section 4.2.3.6)
 * with one byte that it has already, and the server's window. Its acknowledgement is the server's. Until then its window is
 * 0, so that nothing it says is lost; a client that opens no window by a keep-alive sends a probe by itself, and that
 * opens it.
 *
 *     client                        box                          server         mode `reset`
 *       | SYN a                      |
 *       |--------------------------->|
 *       |       SYN-ACK, acknowledges a cookie, not a + 1
 *       |<---------------------------|
 *       | RST cookie                 |                                  RFC 9293, section 3.5.2: answered by RST with
 *       |--------------------------->| known[client] = until            the number that was acknowledged
 *       | SYN a, again               |                              |
 *       |--------------------------->|----------------------------->|
 */
#include "syn_cookies.h"
#include "syn_flow.h"
#include "syn_known.h"
#include "syn_quoted.h"

/* What a document says, for all rules of it. In nanoseconds, but for the shift of windows that clients are told. */
extern const struct syn_proxy_config {
	__u64 idle;     /* a flow that nobody uses is forgotten */
	__u64 closing;  /* the same once both ends have closed it, or one has reset it */
	__u64 opening;  /* and before the server has answered */
	__u64 remember; /* a client that was reset */
	__u64 shift;
} syn_proxy_config;

/* What a rule says: `settings`. */
#define SETTING_MSS 0xffffULL
#define SETTING_STAMPS (1ULL << 16)
#define SETTING_RESET (1ULL << 17)

#define SMALLER_BY_IPV6 20 /* its header is so much larger */

#define HANDSHAKE (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)

static __always_inline __u32 handshake(const struct frame *frame)
{
	return frame->tcp_flags & HANDSHAKE;
}

/* Options behind a segment's header: for a SYN, and for the answer to one. */
static __always_inline __u32 write_options(struct segment *segment, __u32 mss, const struct options *options)
{
	segment->options[0] = OPTION_MSS(mss & 0xffff);
	if (!options->stamps_at)
		return 1;
	segment->options[1] = options->sack_permitted ? OPTION_SACK_AND_STAMPS : OPTION_STAMPS;
	segment->options[2] = bpf_htonl(options->stamp);
	segment->options[3] = bpf_htonl(options->echo);
	if (options->shift == NO_SHIFT)
		return 4;
	segment->options[4] = OPTION_SCALE(options->shift & 15);
	return 5;
}

/* Mode `proxy`: a SYN-ACK with a cookie, by which nothing has to be kept. */
static __always_inline int answer(struct xdp_md *context, struct frame *frame, __u64 settings)
{
	__u32 mss = settings & SETTING_MSS;
	struct options *options = frame_options();
	struct segment segment;
	__s64 cookie;

	if (!options || syn_read_options(context, frame))
		return XDP_DROP;
	cookie = make_cookie(context, frame, frame->tcp_sequence, options->mss);
	if (cookie < 0)
		return XDP_DROP;
	if (!(settings & SETTING_STAMPS))
		options->stamps_at = 0;
	options->echo = options->stamp;
	options->stamp = make_stamp(frame_time(frame), options);
	if (options->shift != NO_SHIFT)
		options->shift = syn_proxy_config.shift;
	if (frame->version == VERSION_6)
		mss -= SMALLER_BY_IPV6;
	begin_segment(&segment, frame);
	segment.control = CONTROL(write_options(&segment, mss, options), TCP_SYN | TCP_ACK, 0);
	segment.sequence = bpf_htonl((__u32)cookie);
	segment.acknowledgement = bpf_htonl(frame->tcp_sequence + 1);
	cookies_given(frame);
	return write_segment(context, frame, &segment, 0, 1) ? XDP_DROP : XDP_TX;
}

/* Mode `reset`: a SYN-ACK that acknowledges what nobody sent. */
static __always_inline int challenge(struct xdp_md *context, struct frame *frame)
{
	struct segment segment;
	__s64 cookie;

	if (is_known(frame))
		return NEXT;
	cookie = make_cookie(context, frame, 0, 0);
	if (cookie < 0 || (__u32)cookie == frame->tcp_sequence + 1)
		return XDP_DROP;
	begin_segment(&segment, frame);
	segment.sequence = bpf_htonl(~(__u32)cookie);
	segment.acknowledgement = bpf_htonl((__u32)cookie);
	segment.control = CONTROL(0, TCP_SYN | TCP_ACK, FULL_WINDOW);
	cookies_given(frame);
	return write_segment(context, frame, &segment, 0, 1) ? XDP_DROP : XDP_TX;
}

/* The action of rules. NEXT: the frame is none that it answers, or of a client that has proved itself. */
int syn_proxy_answer(struct xdp_md *context, struct frame *frame, __u64 settings);
__attribute__((noinline, weak)) int syn_proxy_answer(struct xdp_md *context, struct frame *frame, __u64 settings)
{
	if (!frame)
		return NEXT;
	if (frame->transport != IPPROTO_TCP || handshake(frame) != TCP_SYN || frame->proved)
		return NEXT;
	if (frame->fragment || !is_outermost(context, frame))
		return XDP_DROP;
	if (settings & SETTING_RESET)
		return challenge(context, frame);
	return answer(context, frame, settings);
}

/* Put a segment in the place of the frame's own, and let what is asked next see that. */
static __always_inline int become(struct xdp_md *context, struct frame *frame, struct segment *segment, __u32 data)
{
	__u32 size = SIZE_OF(segment);

	if (write_segment(context, frame, segment, data, 0))
		return XDP_DROP;
	frame->payload = frame->layer4 + size;
	frame->payload_length = data;
	frame->ip_length = frame->layer4 - frame->layer3 + size + data;
	return NEXT;
}

/* A client that began with `first` has given back a cookie: ask the server, as the client asked. */
static __always_inline int open(struct xdp_md *context, struct frame *frame, struct syn_flow_key *key, __u32 first)
{
	__u32 cookie = frame->tcp_acknowledgement - 1;
	struct syn_flow flow = {};
	struct segment segment;
	struct options *options = frame_options();
	__u32 window, words;

	if (!is_cookie(context, frame, first, cookie))
		return NEXT;
	if (!options || frame->fragment || syn_read_options(context, frame))
		return XDP_DROP;
	flow.until = frame_time(frame) + syn_proxy_config.opening;
	flow.first = first;
	flow.cookie = cookie;
	flow.state = OPENING;
	flow.client_way = frame->way;
	flow.client_shift = NO_SHIFT;
	if (options->stamps_at) {
		flow.stamp = options->echo;
		flow.client_shift = options->echo & STAMP_SHIFT;
		options->sack_permitted = options->echo & STAMP_SACK;
		options->echo = 0;
	}
	options->shift = flow.client_shift;
	window = scaled(frame->tcp_window, options->shift == NO_SHIFT ? 0 : options->shift, 0);
	if (bpf_map_update_elem(&syn_flows, key, &flow, BPF_ANY))
		return XDP_DROP;
	begin_segment(&segment, frame);
	words = write_options(&segment, size_in_cookie(context, frame, first, cookie), options);
	segment.sequence = bpf_htonl(first);
	segment.control = CONTROL(words, TCP_SYN, window);
	frame->tcp_flags = TCP_SYN;
	frame->tcp_sequence = first;
	frame->tcp_acknowledgement = 0;
	frame->tcp_window = window;
	frame->proved = 1;
	return become(context, frame, &segment, 0);
}

/* Of no flow: an ACK that may bring a cookie, or the RST of a client that was challenged. */
static __always_inline int stranger(struct xdp_md *context, struct frame *frame, struct syn_flow_key *key)
{
	__u32 flags = handshake(frame);

	if ((flags != TCP_ACK && flags != TCP_RST) || !were_cookies_given(frame))
		return NEXT;
	if (flags == TCP_ACK)
		return open(context, frame, key, frame->tcp_sequence - 1);
	if (!is_cookie(context, frame, 0, frame->tcp_sequence))
		return NEXT;
	remember(frame, frame_time(frame) + syn_proxy_config.remember);
	return XDP_DROP;
}

/* A reset that goes the frame's way; with an acknowledgement, unless that is 0. */
static __always_inline int reset(struct xdp_md *context, struct frame *frame, __u32 sequence, __u32 acknowledgement)
{
	struct segment segment;

	begin_segment(&segment, frame);
	segment.sequence = bpf_htonl(sequence);
	segment.acknowledgement = bpf_htonl(acknowledgement);
	frame->tcp_flags = acknowledgement ? TCP_RST | TCP_ACK : TCP_RST;
	segment.control = CONTROL(0, frame->tcp_flags, 0);
	frame->tcp_sequence = sequence;
	frame->tcp_acknowledgement = acknowledgement;
	return become(context, frame, &segment, 0);
}

/* To a server that has an older connection: what it acknowledges is nothing that the client has sent (RFC 9293, 3.5.2). */
static __always_inline int reset_older(struct xdp_md *context, struct frame *frame)
{
	struct segment segment;

	begin_segment(&segment, frame);
	segment.sequence = bpf_htonl(frame->tcp_acknowledgement);
	segment.control = CONTROL(0, TCP_RST, 0);
	return write_segment(context, frame, &segment, 0, 1) ? XDP_DROP : XDP_TX;
}

/*
 * The server has answered the SYN: the client may send, and shall say so. What is asked next sees the SYN-ACK that the
 * client would have got, and finds the window's scale, which segments without a SYN may carry for nothing (RFC 7323, 2.1).
 */
static __always_inline int opened(struct xdp_md *context, struct frame *frame, struct syn_flow *flow)
{
	struct options *options = frame_options();
	struct segment segment;
	int is_scaled, answer;
	__u32 window;

	if (!options || frame->fragment || syn_read_options(context, frame))
		return XDP_DROP;
	is_scaled = flow->client_shift != NO_SHIFT;
	if (flow->state == OPENING) {
		flow->server = frame->tcp_sequence;
		flow->delta = flow->cookie - flow->server;
		flow->stamp_delta = flow->stamp - options->stamp;
		if (!options->stamps_at)
			flow->stamp = 0;
		flow->client_left = is_scaled && options->shift == NO_SHIFT ? flow->client_shift : 0;
		flow->server_left = is_scaled && options->shift != NO_SHIFT ? options->shift : 0;
		flow->server_right = is_scaled ? syn_proxy_config.shift : 0;
		flow->state = OPEN;
	}
	flow->until = frame_time(frame) + syn_proxy_config.idle;
	begin_segment(&segment, frame);
	segment.options[0] = is_scaled ? OPTION_SCALE(syn_proxy_config.shift & 15) : flow->stamp ? OPTION_NOTHING : 0;
	if (flow->stamp) {
		segment.options[1] = OPTION_STAMPS;
		segment.options[2] = bpf_htonl(options->stamp + flow->stamp_delta);
		segment.options[3] = bpf_htonl(options->echo);
	}
	segment.sequence = bpf_htonl(flow->cookie);
	segment.acknowledgement = bpf_htonl(flow->first + 1);
	window = scaled(frame->tcp_window, 0, flow->server_right); /* of a SYN-ACK it isn't scaled */
	segment.control = CONTROL(flow->stamp ? 4 : is_scaled, TCP_ACK, window);
	frame->tcp_sequence = flow->cookie;
	answer = become(context, frame, &segment, 1);
	frame->payload_length = 0;
	return answer;
}

/* Whether a segment of the server's says that it has that SYN. */
static __always_inline int answers(const struct frame *frame, __u32 first)
{
	return frame->tcp_flags & TCP_ACK && frame->tcp_acknowledgement == first + 1;
}

/*
 * The server says something else than SYN-ACK while it is asked. If it refuses, the flow stays: should the reset get lost,
 * the client's next probe asks again, and the server refuses again.
 */
static __always_inline int refused(struct xdp_md *context, struct frame *frame, struct syn_flow *flow)
{
	if (!(frame->tcp_flags & TCP_RST))
		return reset_older(context, frame);
	if (!answers(frame, flow->first))
		return XDP_DROP;
	return reset(context, frame, flow->cookie + 1, flow->first + 1);
}

static __always_inline int go_on(struct xdp_md *context, struct frame *frame, struct syn_flow *flow, int from_client)
{
	if (frame->tcp_flags & TCP_RST)
		flow->ends = BOTH_ENDS;
	else if (frame->tcp_flags & TCP_FIN)
		flow->ends |= from_client ? END_OF_CLIENT : END_OF_SERVER;
	flow->until = frame_time(frame) + (flow->ends == BOTH_ENDS ? syn_proxy_config.closing : syn_proxy_config.idle);
	return translate(context, frame, flow, from_client) ? XDP_DROP : NEXT;
}

/* Whether the server answers a SYN of the client's that reached it without us. */
static __always_inline int is_of_another(const struct frame *frame, const struct syn_flow *flow)
{
	__u32 flags = handshake(frame);

	if (flow->state == OPEN)
		return flags == (TCP_SYN | TCP_ACK);
	return flags & (TCP_SYN | TCP_RST) && flow->is_asked && answers(frame, flow->next);
}

static __always_inline int from_server(struct xdp_md *context, struct frame *frame, struct syn_flow_key *key,
				       struct syn_flow *flow)
{
	__u32 flags = handshake(frame);

	if (flags == TCP_SYN)
		return NEXT;
	if (flags == (TCP_SYN | TCP_ACK) && answers(frame, flow->first) &&
	    (flow->state == OPENING || flow->server == frame->tcp_sequence))
		return opened(context, frame, flow);
	if (is_of_another(frame, flow)) {
		bpf_map_delete_elem(&syn_flows, key);
		return NEXT;
	}
	if (flow->state == OPENING)
		return refused(context, frame, flow);
	return go_on(context, frame, flow, 0);
}

/*
 * Whether a segment asks the server, once more or anew: whatever acknowledges the cookie while the server hasn't answered,
 * be it the client's ACK, a probe of its shut window, a keep-alive (which have a number that it has used) or a FIN; and the
 * ACK behind another SYN. Numbers alone don't tell: a cookie holds as long as both ends have sent as much as each other.
 */
static __always_inline int asks_again(const struct frame *frame, const struct syn_flow *flow)
{
	return flow->state == OPENING && handshake(frame) & TCP_ACK && frame->tcp_acknowledgement == flow->cookie + 1;
}

static __always_inline int asks_anew(const struct frame *frame, const struct syn_flow *flow)
{
	return flow->is_asked && handshake(frame) == TCP_ACK && frame->tcp_sequence - 1 == flow->next;
}

static __always_inline int from_client(struct xdp_md *context, struct frame *frame, struct syn_flow_key *key,
				       struct syn_flow *flow)
{
	__u32 flags = handshake(frame), first = flow->first;
	int is_opening = flow->state == OPENING, answer;

	if (flags & TCP_SYN) {
		flow->next = frame->tcp_sequence;
		flow->is_asked = flow->next != first;
		return NEXT;
	}
	if (flags & TCP_RST && is_opening) {
		if (frame->tcp_sequence != first + 1)
			return XDP_DROP;
		flow->until = 0;
		return reset(context, frame, first + 1, 0);
	}
	if (asks_anew(frame, flow) || asks_again(frame, flow)) {
		answer = open(context, frame, key, asks_anew(frame, flow) ? flow->next : first);
		if (answer != NEXT || frame->proved)
			return answer;
	}
	if (is_opening)
		return XDP_DROP; /* there is nobody yet to hear it: the client says it again */
	return go_on(context, frame, flow, 1);
}

/* Before the rules, both ways: what belongs to a flow is translated, and what brings a cookie begins one. */
STAGE(syn_proxy_flows)
{
	struct syn_flow_key key;
	struct syn_flow *flow;

	if (!frame)
		return NEXT;
	frame->proved = 0;
	if (frame->transport == IPPROTO_ICMP || frame->transport == IPPROTO_ICMPV6)
		return translate_quoted(context, frame);
	if (frame->transport != IPPROTO_TCP || !were_ever_given(frame) || !is_outermost(context, frame))
		return NEXT;
	make_key(frame, &key);
	flow = bpf_map_lookup_elem(&syn_flows, &key);
	if (!flow || flow->until < frame_time(frame))
		return stranger(context, frame, &key);
	if (frame->way == flow->client_way)
		return from_client(context, frame, &key, flow);
	return from_server(context, frame, &key, flow);
}
