/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic of all types on awkward values, printed bit by bit; NaNs as "nan", whose bits are
 * free. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const uint64_t integers[] = {
    0,
    1,
    2,
    3,
    7,
    31,
    32,
    33,
    63,
    64,
    255,
    65535,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    0x100000000,
    0x123456789abcdef0,
    0x7fffffffffffffff,
    0x8000000000000000,
    0xffffffffffffffff,
};
static const double reals[] = {
    0.0, -0.0,     0.5,       -0.5,  1.0,    1.5,           2.5,          -2.5,
    3.9, 1e-310,   5e-324,    1e308, -1e308, 123456789.125, 4294967295.0, 9007199254740993.0,
    0.1, INFINITY, -INFINITY, NAN,
};
enum { INTEGERS = sizeof(integers) / sizeof(*integers), REALS = sizeof(reals) / sizeof(*reals) };

static void print_real(const char *what, double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof(bits));
	if (x != x)
		printf("%s nan\n", what);
	else
		printf("%s %016llx\n", what, (unsigned long long)bits);
}

static uint64_t rotate(uint64_t x, unsigned int n)
{
	return n % 64 ? x << n % 64 | x >> (64 - n % 64) : x;
}

static void whole(uint64_t a, uint64_t b)
{
	int64_t sa = (int64_t)a, sb = (int64_t)b;
	uint32_t la = (uint32_t)a, lb = (uint32_t)b;

	printf("%llx %llx: %llx %llx", (unsigned long long)a, (unsigned long long)b,
	       (unsigned long long)(a + b), (unsigned long long)(a * b));
	if (b)
		printf(" %llx %llx", (unsigned long long)(a / b), (unsigned long long)(a % b));
	if (b && !(sa == INT64_MIN && sb == -1))
		printf(" %lld %lld", (long long)(sa / sb), (long long)(sa % sb));
	if (lb)
		printf(" %x %x", la / lb, la % lb);
	printf(" %llx %llx %d %d %d\n", (unsigned long long)rotate(a, (unsigned int)b % 64),
	       (unsigned long long)(sa >> b % 64), sa < sb, a < b, (int32_t)la < (int32_t)lb);
}

static void real(double a, double b)
{
	float fa = (float)a, fb = (float)b;

	print_real("+", a + b);
	print_real("-", a - b);
	print_real("*", a * b);
	print_real("/", a / b);
	print_real("f+", fa + fb);
	print_real("f/", fa / fb);
	print_real("sign", copysign(a, b));
	printf("%d %d %d\n", a < b, a == b, a >= b);
}

int main(void)
{
	for (int i = 0; i < INTEGERS; i++) {
		uint64_t x = integers[i];

		for (int j = 0; j < INTEGERS; j++)
			whole(x, integers[j]);
		printf("%d %d %d", x ? __builtin_clzll(x) : 64, x ? __builtin_ctzll(x) : 64,
		       __builtin_popcountll(x));
		printf(" %d %d\n", (int8_t)x, (int16_t)x);
		print_real("from", (double)x);
		print_real("from signed", (double)(int64_t)x);
		print_real("from to float", (float)x);
	}
	for (int i = 0; i < REALS; i++) {
		double x = reals[i];

		for (int j = 0; j < REALS; j++)
			real(x, reals[j]);
		print_real("sqrt", sqrt(x));
		print_real("floor", floor(x));
		print_real("ceil", ceil(x));
		print_real("trunc", trunc(x));
		print_real("rint", rint(x));
		print_real("fabs", fabs(x));
		if (fabs(x) < 2e9)
			printf("%d\n", (int32_t)x);
		if (fabs(x) < 9e18)
			printf("%lld\n", (long long)x);
	}
	return 0;
}
