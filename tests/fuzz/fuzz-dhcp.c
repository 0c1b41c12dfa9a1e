/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-dhcp: any bytes as a server's reply; what is accepted must be usable. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "guest/agent/net/dhcp_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dhcp_reply out;
	struct error err = ERROR_INIT;
	const struct dhcp_lease *l = &out.lease;
	int r = dhcp_parse(&out, data, size, &err);

	if (r < 0 && !err.text[0])
		abort();
	if (r != 0 || out.type == DHCP_NAK)
		return 0;
	if (l->prefix > 32 || l->lease_s < DHCP_MIN_LEASE_S || l->renew_s >= l->rebind_s ||
	    l->rebind_s >= l->lease_s || l->n_dns > DHCP_MAX_DNS || l->n_routes > DHCP_MAX_ROUTES)
		abort();
	for (size_t i = 0; i < l->n_routes; i++)
		if (l->routes[i].prefix > 32)
			abort();
	return 0;
}
