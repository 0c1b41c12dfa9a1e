/* SPDX-License-Identifier: Apache-2.0 */
/* Integer work for the bench row wasm-int: the same source, compiled natively and as WebAssembly.
 * Prints a sum over all results, which must be the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 1 << 15 };

static uint32_t numbers[N], sorted[N], table[256];
static uint8_t marks[N * 4], text[N], packed[2 * N], unpacked[N];

static uint32_t crc(const uint8_t *p, size_t n)
{
	uint32_t c = ~0u;

	for (size_t i = 0; i < n; i++)
		c = table[(c ^ p[i]) & 0xff] ^ c >> 8;
	return ~c;
}

static void sift(uint32_t *a, size_t root, size_t n)
{
	for (size_t child; (child = 2 * root + 1) < n; root = child) {
		uint32_t t;

		if (child + 1 < n && a[child] < a[child + 1])
			child++;
		if (a[root] >= a[child])
			return;
		t = a[root];
		a[root] = a[child];
		a[child] = t;
	}
}

static void heap_sort(uint32_t *a, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift(a, i, n);
	for (size_t i = n; i-- > 1;) {
		uint32_t t = a[0];

		a[0] = a[i];
		a[i] = t;
		sift(a, 0, i);
	}
}

static uint32_t primes(uint8_t *m, uint32_t n)
{
	uint32_t count = 0;

	memset(m, 1, n);
	for (uint32_t i = 2; i < n; i++) {
		if (!m[i])
			continue;
		count++;
		for (uint64_t j = (uint64_t)i * i; j < n; j += i)
			m[j] = 0;
	}
	return count;
}

static uint32_t multiply(const uint32_t *a, const uint32_t *b, uint32_t *c, int n)
{
	for (int i = 0; i < n; i++) {
		for (int j = 0; j < n; j++) {
			uint32_t sum = 0;

			for (int k = 0; k < n; k++)
				sum += a[i * n + k] * b[k * n + j];
			c[i * n + j] = sum;
		}
	}
	return c[n * n / 2];
}

static uint32_t fibonacci(uint32_t n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

/* Runs of bytes as (length, byte), and back. */
static size_t pack(const uint8_t *in, size_t n, uint8_t *out)
{
	size_t used = 0;

	for (size_t i = 0; i < n;) {
		size_t run = 1;

		while (i + run < n && run < 255 && in[i + run] == in[i])
			run++;
		out[used++] = (uint8_t)run;
		out[used++] = in[i];
		i += run;
	}
	return used;
}

static size_t unpack(const uint8_t *in, size_t n, uint8_t *out)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i += 2)
		for (uint8_t k = 0; k < in[i]; k++)
			out[used++] = in[i + 1];
	return used;
}

static uint64_t mix(uint64_t h, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 8 <= n; i += 8) {
		uint64_t v;

		memcpy(&v, p + i, 8);
		h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return h;
}

static void prepare(void)
{
	uint32_t seed = 1;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int k = 0; k < 8; k++)
			table[i] = table[i] & 1 ? 0xedb88320u ^ table[i] >> 1 : table[i] >> 1;
	}
	for (uint32_t i = 0; i < N; i++) {
		seed = seed * 1664525 + 1013904223;
		numbers[i] = seed;
		text[i] = (uint8_t)(seed >> 30);
	}
}

int main(void)
{
	uint64_t sum = 0;

	prepare();
	for (int round = 0; round < 40; round++) {
		size_t n = pack(text, N, packed);

		numbers[round]++;
		for (int k = 0; k < 4; k++)
			sum += crc((const uint8_t *)numbers, sizeof(numbers));
		memcpy(sorted, numbers, sizeof(numbers));
		heap_sort(sorted, N);
		sum += sorted[N / 3];
		sum += primes(marks, sizeof(marks));
		sum += multiply(numbers, numbers + 10000, sorted, 100);
		sum += unpack(packed, n, unpacked) + unpacked[N - 1];
		for (int k = 0; k < 16; k++)
			sum = mix(sum, (const uint8_t *)numbers, sizeof(numbers));
		sum += fibonacci(20);
	}
	printf("%016llx\n", (unsigned long long)sum);
	return 0;
}
