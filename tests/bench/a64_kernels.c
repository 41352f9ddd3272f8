/*
 * Loops for bench_a64: freestanding A64, entered with x0 = kernel, x1 = 1 MiB of data memory, sp set. Ends with SVC.
 */
typedef unsigned char      u8;
typedef unsigned int       u32;
typedef unsigned long long u64;

static u64 crc(u8 *mem, u64 n)
{
    u32 *table = (u32 *)mem, c = ~0u;
    u8  *data = mem + 4096;

    for (u32 i = 0; i < 256; i++) {
        u32 v = i;
        for (int k = 0; k < 8; k++) {
            v = v & 1 ? v >> 1 ^ 0xedb88320 : v >> 1;
        }
        table[i] = v;
    }
    for (u64 r = 0; r < n; r++) {
        for (u32 i = 0; i < 65536; i++) {
            c = table[(c ^ data[i]) & 255] ^ c >> 8;
        }
    }
    return c;
}

static u64 sort(u8 *mem, u64 n)
{
    u32 *a = (u32 *)mem, seed = 1;

    for (u64 r = 0; r < n; r++) {
        for (u32 i = 0; i < 20000; i++) {
            a[i] = seed = seed * 1664525 + 1013904223;
        }
        for (u32 gap = 8191; gap > 0; gap /= 2) {
            for (u32 i = gap; i < 20000; i++) {
                u32 v = a[i], j = i;
                for (; j >= gap && a[j - gap] > v; j -= gap) {
                    a[j] = a[j - gap];
                }
                a[j] = v;
            }
        }
    }
    return a[100];
}

static u64 sieve(u8 *mem, u64 n)
{
    u64 count = 0;

    for (u64 r = 0; r < n; r++) {
        for (u32 i = 0; i < 500000; i++) {
            mem[i] = 1;
        }
        for (u32 i = 2; i < 500000; i++) {
            if (mem[i]) {
                count++;
                for (u32 j = 2 * i; j < 500000; j += i) {
                    mem[j] = 0;
                }
            }
        }
    }
    return count;
}

static __attribute__((noinline)) u64 fib(u64 n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static u64 calls(u8 *mem, u64 n) { return fib(24 + n / 16); }

static u64 list(u8 *mem, u64 n)
{
    struct node {
        struct node *next;
        u64          v[3];
    } *a = (struct node *)mem, *p;
    u64 sum = 0;

    for (u32 i = 0; i < 16384; i++) {
        a[i].next = &a[(i * 7919 + 1) & 16383];
        a[i].v[0] = i;
    }
    p = a;
    for (u64 r = 0; r < n * 100000; r++) {
        sum += p->v[0]++;
        p = p->next;
    }
    return sum;
}

static u64 copy(u8 *mem, u64 n)
{
    for (u64 r = 0; r < n * 4; r++) {
        u64 *d = (u64 *)mem, *s = (u64 *)(mem + 0x40008);
        for (u32 i = 0; i < 0x8000; i += 4) {
            u64 a = s[i], b = s[i + 1], c = s[i + 2], e = s[i + 3];
            d[i] = a;
            d[i + 1] = b;
            d[i + 2] = c;
            d[i + 3] = e;
        }
    }
    return mem[5];
}

static u64 strings(u8 *mem, u64 n)
{
    u64 h = 0;

    for (u32 i = 0; i < 4096; i++) {
        mem[i] = i % 37 == 36 ? 0 : 'a' + i % 26;
    }
    for (u64 r = 0; r < n * 30; r++) {
        for (u8 *p = mem; p < mem + 4000;) {
            u32 len = 0;
            while (p[len]) {
                h = h * 31 + p[len++];
            }
            p += len + 1;
        }
    }
    return h;
}

__attribute__((section(".text.startup"))) void start(u64 kernel, u8 *mem, u64 n)
{
    u64 r = 0;

    switch (kernel) {
    case 0: r = crc(mem, n); break;
    case 1: r = sort(mem, n); break;
    case 2: r = sieve(mem, n); break;
    case 3: r = calls(mem, n); break;
    case 4: r = list(mem, n); break;
    case 5: r = copy(mem, n); break;
    default: r = strings(mem, n); break;
    }
    __asm__ volatile("mov x0, %0\n\tsvc #0" : : "r"(r) : "x0");
    __builtin_unreachable();
}
