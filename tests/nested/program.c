/* SPDX-License-Identifier: Apache-2.0 */
/* program: what `kihon boot` shows and whose status it ends with. */
#include <stdio.h>

int main(void)
{
	puts("the program says hello");
	return 42;
}
