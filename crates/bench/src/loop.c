/* The tutorial's four loops, with the barrier where joblab's have it: once for each turn of the third.
   Of the innermost loop a compiler may keep the last turn alone. LLVM does, gcc does not, so that it
   is written like this: each compiler then has the same to do. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

double wait_loop(uint64_t n) {
    double out = 0.0;
    for (uint64_t m = 0; m < n; m++)
        for (uint64_t l = 0; l < m; l++)
            for (uint64_t j = 0; j < l; j++) {
                if (j > 0) {
                    out = sqrt((double)(j - 1 + 4));
                    out *= out;
                }
                /* A reader that the compiler cannot see through, of a value in memory. */
                __asm__ volatile("" : : "r"(&out) : "memory");
            }
    return out;
}

/* For each n on a line of input, the seconds that the loop takes. */
int main(void) {
    unsigned long long n;
    while (scanf("%llu", &n) == 1) {
        struct timespec begun, ended;
        clock_gettime(CLOCK_MONOTONIC, &begun);
        volatile double out = wait_loop(n);
        (void)out;
        clock_gettime(CLOCK_MONOTONIC, &ended);
        printf("%.9f\n", (double)(ended.tv_sec - begun.tv_sec) + 1e-9 * (double)(ended.tv_nsec - begun.tv_nsec));
        fflush(stdout);
    }
}
