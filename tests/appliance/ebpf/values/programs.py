"""Types of C with a bit of everything, as clang describes them."""

from __future__ import annotations

from functools import cache

from appliance.ebpf.objects.objects import load_object
from appliance.ebpf.spec import CollectionSpec
from appliance.ebpf.values import Codec, Codecs
from tests.appliance.ebpf.compiling import compile_c

SOURCE = """
enum action { PASS = 2, DROP = 1 };
enum sign { MINUS = -1, PLUS = 1 };
enum wide { HUGE = 0x100000000ULL, SMALL = 1 };
typedef __u16 port_t;
struct inner { __s8 a; __u64 b; };
struct everything {
    __u8 u8; __s8 s8; __u16 u16; __s16 s16; __u32 u32; __s32 s32; __u64 u64; __s64 s64;
    _Bool flag; char letter; enum action action; enum sign sign; enum wide wide;
    const volatile port_t port;
    char name[6]; __u8 mac[6]; __s8 deltas[2]; __u16 ports[3]; __u32 grid[2][3];
    struct inner inner; struct inner pair[2];
    void *pointer; float single; double twice; unsigned __int128 address;
};
struct bits { __u32 one : 1, three : 3; __s32 five : 5; enum action action : 7; _Bool flag : 1; __u64 after; };
struct host { __u8 family; union { __u32 v4; __u8 v6[16]; struct { __u16 low; __u16 high; }; }; };
union either { struct inner inner; __u64 words[2]; };
struct tail { __u32 count; __u32 items[]; };
struct from_to { __u32 from; __u32 to; };
struct everything everything = {
    200, -100, 60000, -30000, 4000000000, -2000000000, 1ULL << 63, -1LL << 63,
    1, 'a', DROP, MINUS, HUGE, 443, "abc", {0x02, 0, 0, 0, 0, 0xff}, {-1, 1}, {1, 2, 65535}, {{1, 2, 3}, {4, 5, 6}},
    {-1, 1}, {{2, 3}, {4, 5}}, 0, 1.5, -2.25, (unsigned __int128)1 << 127,
};
struct bits bits = {1, 5, -16, DROP, 1, 7};
struct host host = {4, {.v6 = {1, 0, 0, 127}}};
union either either; struct tail tail; struct from_to from_to;
enum action action; enum sign sign; __u32 number; float ratio; void *pointer; _Bool flag; char name[6];
__u32 grid[2][3];
SEC("xdp") int pass(struct xdp_md *ctx) { return 2; }
"""


@cache
def spec() -> CollectionSpec:
    """The object of SOURCE."""
    return load_object(compile_c(SOURCE), "values.bpf.o")


@cache
def codec(name: str) -> Codec:
    """The codec of one of the variables."""
    (variable,) = (v for map_ in spec().maps.values() for v in map_.variables if v.name == name)
    return Codecs(spec().types).of(variable.type, variable.size)
