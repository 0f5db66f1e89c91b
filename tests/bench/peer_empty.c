// SPDX-License-Identifier: MIT
//
// The least a process can be: linked statically, it returns at once. The floor under "boot to prompt".

int main(void)
{
	return 0;
}
