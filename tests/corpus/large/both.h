/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A program's own functions (PROGRAM), once for IPv4 and once for IPv6. */
#include "network.h"

#define FAMILY 4
#include "family.h"
#include PROGRAM
#undef FAMILY
#define FAMILY 6
#include "family.h"
#include PROGRAM
#undef FAMILY
