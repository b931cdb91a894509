"""The source of the program that probes are placed in."""

# A function to be probed, its return, and a static probe in the format of systemtap's sys/sdt.h: a note of the type
# 3 with the addresses of the probe, of .stapsdt.base and of a semaphore, then provider, name and arguments. A constant
# stands there as the arch's assembler has it, and libbpf's usdt.c of that arch reads no other form.
BINARY = """
#include <stdlib.h>
#include <unistd.h>
#if __SIZEOF_POINTER__ == 8
#define ADDRESS ".8byte "
#else
#define ADDRESS ".4byte "
#endif
#if defined(__x86_64__) || defined(__i386__)
#define SEVEN "$7"
#elif defined(__arm__)
#define SEVEN "#7"
#else
#define SEVEN "7"
#endif
__attribute__((noinline)) int work(int number) { __asm__ volatile(""); return number * 2; }
__attribute__((noinline)) int more(int number) { __asm__ volatile(""); return number * 3; }
static void probe(void)
{
    __asm__ volatile(
        "990: nop\\n"
        ".pushsection .note.stapsdt,\\"\\",\\"note\\"\\n"
        ".balign 4\\n"
        ".4byte 992f-991f, 994f-993f, 3\\n"
        "991: .asciz \\"stapsdt\\"\\n"
        "992: .balign 4\\n"
        "993: " ADDRESS "990b\\n"
        ADDRESS "_.stapsdt.base\\n"
        ADDRESS "0\\n"
        ".asciz \\"tests\\"\\n"
        ".asciz \\"beat\\"\\n"
        ".asciz \\"4@" SEVEN "\\"\\n"
        "994: .balign 4\\n"
        ".popsection\\n"
        ".ifndef _.stapsdt.base\\n"
        ".pushsection .stapsdt.base,\\"aG\\",\\"progbits\\",.stapsdt.base,comdat\\n"
        ".weak _.stapsdt.base\\n"
        ".hidden _.stapsdt.base\\n"
        "_.stapsdt.base: .space 1\\n"
        ".size _.stapsdt.base, 1\\n"
        ".popsection\\n"
        ".endif\\n");
}
int main(int argc, char **argv)
{
    int sum = 0;
    for (int i = 0; i < atoi(argv[1]); i++) { sum += work(i) + more(i); probe(); }
    return sum == -1;
}
"""
