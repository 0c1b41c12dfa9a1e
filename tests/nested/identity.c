/* SPDX-License-Identifier: Apache-2.0 */
/* identity: what a container sees that no other may see: random numbers, host name, time. */
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	unsigned char bytes[16];
	char name[65] = "";

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes) ||
	    gethostname(name, sizeof(name) - 1) < 0)
		return 1;
	printf("random ");
	for (size_t i = 0; i < sizeof(bytes); i++)
		printf("%02x", bytes[i]);
	printf("\nname %s\ntime %lld\n", name, (long long)time(NULL));
	return 0;
}
