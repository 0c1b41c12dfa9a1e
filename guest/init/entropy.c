/* SPDX-License-Identifier: Apache-2.0 */
/* entropy: getrandom(2) tells whether any is needed; random(4) ioctls give it. */
#include "entropy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

#define RESEED_MAX 4096

int entropy_reseed(const void *data, size_t size, struct error *err)
{
	/* Not on the stack, whose pages a clone of this guest would have of its own. */
	_cleanup_free_ struct rand_pool_info *pool = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (size > RESEED_MAX)
		return error_set(err, EINVAL, "reseed: %zu bytes, at most %d are taken", size,
		                 RESEED_MAX);
	pool = malloc(sizeof(*pool) + size);
	if (!pool)
		return error_set(err, ENOMEM, "reseed: no memory for %zu bytes", size);
	fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "open /dev/urandom");
	pool->entropy_count = (int)size * 8;
	pool->buf_size = (int)size;
	memcpy(pool->buf, data, size);
	r = size ? ioctl(fd, RNDADDENTROPY, pool) : 0;
	if (r == 0)
		r = ioctl(fd, RNDRESEEDCRNG);
	explicit_bzero(pool->buf, size);
	return r == 0 ? 0 : error_errno(err, errno, "reseed the random number generator");
}

int entropy_setup(struct error *err)
{
	_cleanup_close_ int fd = -1;
	uint8_t bytes[64];
	ssize_t n;
	int r;

	if (getrandom(bytes, 1, GRND_NONBLOCK) == 1)
		return 0;
	/* The kernel's own thread fills from here too, but may not have run yet. */
	fd = open("/dev/hwrng", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return 1;
	n = read(fd, bytes, sizeof(bytes));
	if (n <= 0)
		return 1;
	r = entropy_reseed(bytes, (size_t)n, err);
	explicit_bzero(bytes, sizeof(bytes));
	return r;
}
