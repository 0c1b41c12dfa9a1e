/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the entropy device on plain memory, by clause of virtio 1.2 §5.4. */
#include "check.h"
#include "host-shim/vmm/devices/rate.h"
#include "host-shim/vmm/devices/rng.h"
#include "tests/unit/virtio_bench.h"

static struct vbench b;
static struct error err = ERROR_INIT;

static void start(uint64_t rate)
{
	vbench_init(&b, 0);
	check_ok(rng_device_new(&b.dev, b.loop, rate, &err), &err);
	vbench_start(&b, 64, ~0ull);
}

TEST(s5_4_6_buffers_are_filled)
{
	struct vbench_part p[] = {{NULL, 40, true, 0}, {NULL, 60, true, 0}};
	uint8_t first[100] = {0}, zeros[100] = {0};

	start(0);
	check_int(b.dev->ops->id, 4);
	check_int(vbench_request(&b, 0, p, 2), 100);
	memcpy(first, vbench_host(&b, p[0].gpa), 40);
	memcpy(first + 40, vbench_host(&b, p[1].gpa), 60);
	check(memcmp(first, zeros, 40) != 0);
	check(memcmp(first + 40, zeros, 60) != 0);
	p[0].gpa = p[1].gpa = 0;
	check_int(vbench_request(&b, 0, p, 2), 100);
	check(memcmp(first, vbench_host(&b, p[0].gpa), 40) != 0);
	check_int(b.interrupts[0], 1); /* the driver's used_event has not moved */
	vbench_stop(&b);
}

TEST(s5_4_6_2_a_long_request_gets_less)
{
	struct vbench_part p[] = {{NULL, 100000, true, 0}};
	int64_t n;

	start(0);
	n = vbench_request(&b, 0, p, 1);
	check(n >= 1 && n < 100000);
	check_int(vbench_host(&b, p[0].gpa)[n], 0);
	vbench_stop(&b);
}

/* A descriptor table in an image that is taken out of the machine. */
TEST(memory_that_goes_takes_the_rings_in_it_along)
{
	struct vbench_part p[] = {{NULL, 8, true, 0}};
	struct virtqueue_layout l;
	uint8_t *image = calloc(1, 65536);

	start(0);
	check(image && guest_memory_add(&b.memory, 1ull << 32, 65536, image, true, &err) == 0);
	l = driver_layout(&b.ring[0], b.features);
	l.desc = 1ull << 32;
	check_ok(virtqueue_start(&b.dev->queues[0], &b.memory, &l, &err), &err);
	virtio_device_pause(b.dev);
	virtio_device_lose_memory(b.dev, image + 65536, 4096); /* another's */
	check(!b.needs_reset);
	virtio_device_lose_memory(b.dev, image, 65536);
	guest_memory_remove(&b.memory, 1ull << 32);
	free(image);
	virtio_device_resume(b.dev);
	check(b.needs_reset);
	check_int(vbench_request(&b, 0, p, 1), -1);
	virtio_device_reset(b.dev);
	vbench_start(&b, 64, ~0ull);
	p[0].gpa = 0;
	check_int(vbench_request(&b, 0, p, 1), 8);
	vbench_stop(&b);
}

TEST(s2_1_2_nothing_to_write_to_needs_reset)
{
	struct vbench_part p[] = {{"x", 1, false, 0}};

	start(0);
	check_int(vbench_request(&b, 0, p, 1), -1);
	check(b.needs_reset);
	virtio_device_reset(b.dev);
	vbench_start(&b, 64, ~0ull);
	p[0] = (struct vbench_part){NULL, 8, true, 0};
	check_int(vbench_request(&b, 0, p, 1), 8);
	vbench_stop(&b);
}

TEST(rate_is_bounded_and_requests_wait)
{
	struct vbench_part p = {NULL, 1000, true, 0};
	uint32_t len;

	start(100);
	for (int i = 0; i < 8; i++) {
		p.gpa = 0;
		vbench_offer(&b, 0, &p, 1);
	}
	vbench_kick(&b, 0);
	check(vbench_wait(&b, 0, &len) >= 0);
	check_int(len, 100); /* a second's worth is there at once */
	check(vbench_wait(&b, 0, &len) >= 0);
	check(len > 0 && len <= 100); /* the next ones get what time brings */
	virtio_device_reset(b.dev);
	vbench_turn(&b, 30);
	vbench_stop(&b);
}

TEST(rate_by_itself)
{
	struct rate r = rate_init(1000, 50);

	check_int(rate_allows(&r, 5000, 50), 1000);
	rate_take(&r, 1000);
	check_int(rate_allows(&r, 5000, 50), 0);
	check_int(rate_allows(&r, 5000, 51), 1);
	check_int(rate_allows(&r, 5000, 150), 100);
	check_int(rate_allows(&r, 7, 150), 7);
	check_int(rate_allows(&r, 5000, UINT64_MAX), 1000);
	r = rate_init(0, 0);
	check_int(rate_allows(&r, 5000, 0), 5000);
	r = rate_init(UINT64_MAX / 4000, 0);
	rate_take(&r, rate_allows(&r, UINT64_MAX, 0));
	check(rate_allows(&r, UINT64_MAX, 999) > 0);
}

TEST_MAIN()
