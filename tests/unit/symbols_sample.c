/* What test_symbols reads: built for AArch64 with several forms of line tables, never run. */
static volatile int sink;
int exported_data = 5;

static __attribute__((noinline)) int twice(int x)
{
    int y = x * 2;

    sink = y;
    return y;
}

static inline __attribute__((always_inline)) int inlined(int x)
{
    return x ^ sink;
}

int sum(const int *p, int n)
{
    int total = 0;

    for (int i = 0; i < n; i++) {
        if (p[i] < 0) {
            total -= twice(p[i]);
        } else {
            total += inlined(p[i]);
        }
    }
    return total;
}

void _start(void)
{
    sink = sum(&exported_data, 1);
    for (;;) {
    }
}
