/* SPDX-License-Identifier: Apache-2.0 */
/* hog: takes memory of the guest, a MiB at a time, and says how much there was. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define MIB  (1u << 20)
#define MOST 80

int main(void)
{
	unsigned int n;

	for (n = 0; n < MOST; n++) {
		void *p =
		    mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			break;
		memset(p, 1, MIB);
	}
	printf("took %u MiB\n", n);
	return 0;
}
