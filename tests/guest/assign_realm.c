/*
 * The Realm: what a guest kernel does at tsm/lock, tsm/accept and tsm/unlock by RSI and RHI, and a look at whether the
 * device then reaches its memory, and nobody else's.
 */
#include "tests/guest/assign.h"

enum { MAX_OBJECT = 8192, MAX_RANGES = 8, ENGINE_BAR = 4, REPORT_RANGES = 0x10, RANGE_NON_TEE = 4 };

/* The card's engine for single transfers (docs/device-assignment.md). */
enum { ENGINE_ID = 0x00, ENGINE_ADDR = 0x08, ENGINE_LEN = 0x10, ENGINE_PATTERN = 0x18, ENGINE_CMD = 0x20,
       ENGINE_STATUS = 0x28 };
enum { CMD_WRITE_MEMORY = 1, STATUS_OK = 1, STATUS_REFUSED = 2 };
#define ENGINE_NAME 0x31414d4459454c42ull

static uint8_t  host_call_page[256] __attribute__((aligned(256)));
static uint8_t  info[512] __attribute__((aligned(512)));
static uint8_t  measure[PAGE_SIZE] __attribute__((aligned(4096)));
static uint64_t target[PAGE_SIZE / 8] __attribute__((aligned(4096)));
static uint8_t  object[MAX_OBJECT];
static uint64_t vdev, instance, engine, out[12];

static struct {
    uint64_t base, top;
} range[MAX_RANGES];
static unsigned n_ranges;

static uint64_t shared_page(void) { return SHARED_IPA | SHARED_HALF; }

/* ---- calls ---- */

static uint64_t rsi(uint32_t fid, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    uint64_t x[12] = { SMC64_STD(fid), a, b, c, d, e, f };

    smc(x);
    for (unsigned i = 0; i < 12; i++) {
        out[i] = x[i];
    }
    return x[0];
}

static uint64_t call_host(unsigned imm, uint64_t fid, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    uint64_t at = (uint64_t)host_call_page, args[] = { fid, a, b, c, d, e };

    put64(at + RSI_HOST_CALL_IMM, imm);
    for (unsigned i = 0; i < 6; i++) {
        put64(at + RSI_HOST_CALL_GPRS + 8 * i, args[i]);
    }
    rsi(RSI_FID_HOST_CALL, at, 0, 0, 0, 0, 0);
    return get64(at + RSI_HOST_CALL_GPRS);
}

static uint64_t gpr(unsigned i) { return get64((uint64_t)host_call_page + RSI_HOST_CALL_GPRS + 8 * i); }

static uint64_t rhi(unsigned number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return call_host(0, RHI_FID(number), vdev, a, b, c, d);
}

static void tell(Step step) { call_host(TELL_STEP, 0, step, 0, 0, 0, 0); }

static void failed(unsigned line)
{
    for (;;) {
        call_host(TELL_FAILED, 0, line, 0, 0, 0, 0);
    }
}

#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            failed(__LINE__);                                                                                          \
        }                                                                                                              \
    } while (0)

/* ---- SHA-256, FIPS 180-4 ---- */

static uint32_t rotate(uint32_t v, unsigned n) { return v >> n | v << (32 - n); }

/* The first 32 bits of the fractional part of the @n-th prime's root: of its cube root, or square root. */
static uint32_t root_of_prime(unsigned n, unsigned degree)
{
    uint64_t p = 2, low = 0, high = 1ull << 36;

    for (unsigned found = 0;; p++) {
        bool prime = true;
        for (uint64_t f = 2; f * f <= p; f++) {
            prime = prime && p % f != 0;
        }
        if (prime && found++ == n) {
            break;
        }
    }
    while (high - low > 1) { /* the root times 2^32 */
        uint64_t          mid = (low + high) / 2;
        unsigned __int128 square = (unsigned __int128)mid * mid;

        *((degree == 2 ? square >> 64 : square * mid >> 96) >= p ? &high : &low) = mid;
    }
    return (uint32_t)low;
}

static void sha256_block(uint32_t h[8], const uint32_t k[64], const uint8_t *block)
{
    uint32_t w[64], v[8];

    for (unsigned i = 0; i < 16; i++) {
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
    }
    for (unsigned i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
               (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
    for (unsigned i = 0; i < 8; i++) {
        v[i] = h[i];
    }
    for (unsigned i = 0; i < 64; i++) {
        uint32_t t1 = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) +
                      ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
        uint32_t t2 = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) +
                      ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        for (unsigned j = 7; j > 0; j--) {
            v[j] = v[j - 1];
        }
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++) {
        h[i] += v[i];
    }
}

static bool digest_is(const uint8_t *data, uint64_t len, const uint8_t *digest)
{
    static uint32_t k[64];
    uint32_t        h[8];
    uint8_t         block[64];
    bool            same = true;

    for (unsigned i = 0; i < 64 && k[63] == 0; i++) {
        k[i] = root_of_prime(i, 3);
    }
    for (unsigned i = 0; i < 8; i++) {
        h[i] = root_of_prime(i, 2);
    }
    for (uint64_t at = 0; at < (len + 9 + 63) / 64 * 64; at += 64) {
        for (unsigned i = 0; i < 64; i++) {
            block[i] = at + i < len ? data[at + i] : at + i == len ? 0x80 : 0;
        }
        for (unsigned i = 0; i < 8 && at + 64 >= len + 9; i++) {
            block[56 + i] = (uint8_t)(len * 8 >> (56 - 8 * i));
        }
        sha256_block(h, k, block);
    }
    for (unsigned i = 0; i < 32; i++) {
        same = same && digest[i] == (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
    }
    return same;
}

/* ---- evidence ---- */

/* An object as the host has it, into object[]; returns its length. */
static uint64_t read_object(RhiObject id)
{
    uint64_t len, done = 0;

    CHECK(rhi(ALP12 ? RHI12_FID_DA_OBJECT_SIZE : RHI_FID_DA_OBJECT_SIZE, id, 0, 0, 0) ==
          (ALP12 ? RHI12_SUCCESS : RHI_SUCCESS));
    len = gpr(1);
    CHECK(len != 0 && len <= MAX_OBJECT);
    while (done < len) {
        CHECK(rhi(ALP12 ? RHI12_FID_DA_OBJECT_READ : RHI_FID_DA_OBJECT_READ, id, done, len - done, shared_page()) ==
              (ALP12 ? RHI12_SUCCESS : RHI_SUCCESS));
        CHECK(gpr(1) != 0 && gpr(1) <= len - done && gpr(1) <= PAGE_SIZE);
        copy_bytes(object + done, (void *)shared_page(), gpr(1));
        done += gpr(1);
    }
    return len;
}

static uint64_t le(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    while (n-- > 0) {
        v = v << 8 | p[n];
    }
    return v;
}

/* TDISP 1.0, "Device interface report": the ranges that are the Realm's alone. */
static void parse_report(uint64_t len)
{
    uint64_t n = le(object + 0xc, 4);

    CHECK(n <= MAX_RANGES && len >= REPORT_RANGES + 16 * n);
    n_ranges = 0;
    engine = 0;
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *r = object + REPORT_RANGES + 16 * i;
        if (le(r + 12, 2) & RANGE_NON_TEE) {
            continue;
        }
        range[n_ranges].base = le(r, 8) << 12;
        range[n_ranges].top = range[n_ranges].base + (le(r + 8, 4) << 12);
        if (le(r + 14, 2) == ENGINE_BAR) {
            engine = range[n_ranges].base;
        }
        n_ranges++;
    }
    CHECK(engine != 0);
}

static void check_evidence(void)
{
    static const struct {
        RhiObject id;
        uint16_t  at, at12; /* digest in the structure; 0: it is not told */
    } digests[] = {
        { RHI_CERTIFICATE, RSI_VDEV_INFO_CERT_DIGEST, RSI_RDEV_INFO_CERT_DIGEST },
        { RHI_VCA, RSI_VDEV_INFO_VCA_DIGEST, 0 },
        { RHI_MEASUREMENTS, RSI_VDEV_INFO_MEAS_DIGEST, RSI_RDEV_INFO_MEAS_DIGEST },
        { RHI_INTERFACE_REPORT, RSI_VDEV_INFO_REPORT_DIGEST, RSI_RDEV_INFO_REPORT_DIGEST },
    };

    if (ALP12) {
        CHECK(rsi(RSI_FID_RDEV_GET_INFO, vdev, instance, (uint64_t)info, 0, 0, 0) == RSI_SUCCESS);
    } else {
        CHECK(rsi(RSI_FID_VDEV_GET_INFO, vdev, (uint64_t)info, 0, 0, 0, 0) == RSI_SUCCESS);
        CHECK(info[RSI_VDEV_INFO_STATE] == RSI_VDEV_LOCKED);
    }
    for (unsigned i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
        uint64_t len = read_object(digests[i].id), at = ALP12 ? digests[i].at12 : digests[i].at;

        CHECK(at == 0 || digest_is(object, len, info + at));
        if (digests[i].id == RHI_INTERFACE_REPORT) {
            parse_report(len);
        }
    }
    tell(STEP_EVIDENCE);
}

/* ---- moving the interface ---- */

static void set_tdi_state(RhiTdiState state)
{
    CHECK(rhi(ALP12 ? RHI12_FID_DA_VDEV_SET_TDI_STATE : RHI_FID_DA_VDEV_SET_TDI_STATE, state, 0, 0, 0) == 0);
}

/* 1.1-alp12: a call of RSI, then RDEV_CONTINUE until the host has carried all messages. */
static void rdev(uint32_t fid, uint64_t arg)
{
    uint64_t status;

    CHECK(rsi(fid, vdev, instance, arg, 0, 0, 0) == RSI_SUCCESS);
    do {
        status = rsi(RSI_FID_RDEV_CONTINUE, vdev, instance, 0, 0, 0, 0);
    } while (status == RSI_INCOMPLETE);
    CHECK(status == RSI_SUCCESS);
}

static void rdev_state_is(RsiRdevState state)
{
    CHECK(rsi(RSI_FID_RDEV_GET_STATE, vdev, instance, 0, 0, 0, 0) == RSI_SUCCESS && out[1] == state);
}

static void lock(void)
{
    if (ALP12) {
        CHECK(call_host(0, RHI_FID(RHI12_FID_DA_FEATURES), 0, 0, 0, 0, 0) == 3);
        set_tdi_state(RHI_TDI_LOCKED);
        CHECK(rsi(RSI_FID_RDEV_GET_INSTANCE_ID, vdev, 0, 0, 0, 0, 0) == RSI_SUCCESS);
        instance = out[1];
        rdev(RSI_FID_RDEV_LOCK, 0);
        rdev_state_is(RSI_RDEV_LOCKED);
        tell(STEP_LOCKED);
        rdev(RSI_FID_RDEV_GET_INTERFACE_REPORT, 0x10);
        put64((uint64_t)measure + RSI_RDEV_MEASURE_FLAGS, RSI_RDEV_MEASURE_ALL | RSI_RDEV_MEASURE_SIGNED);
        rdev(RSI_FID_RDEV_GET_MEASUREMENTS, (uint64_t)measure);
    } else {
        CHECK(rhi(RHI_FID_DA_VERSION, 0, 0, 0, 0) == 0x10000);
        CHECK((rhi(RHI_FID_DA_FEATURES, 0, 0, 0, 0) & 0x3b) == 0x3b);
        set_tdi_state(RHI_TDI_LOCKED);
        tell(STEP_LOCKED);
        CHECK(rhi(RHI_FID_DA_VDEV_GET_INTERFACE_REPORT, 0, 0, 0, 0) == RHI_SUCCESS);
        for (unsigned i = 0; i < PAGE_SIZE; i += 8) { /* objects were read through it */
            put64(shared_page() + i, 0);
        }
        put64(shared_page() + RMI_MEASURE_FLAGS, RMI_MEASURE_SIGNED);
        put64(shared_page() + RMI_MEASURE_INDICES + 24, 1ull << 62); /* bit 254: all there are */
        put64(shared_page() + RMI_MEASURE_NONCE, 0x5ca1ab1e);
        CHECK(rhi(RHI_FID_DA_VDEV_GET_MEASUREMENTS, shared_page(), 0, 0, 0) == RHI_SUCCESS);
    }
    check_evidence();
}

/* A transfer of the device into our memory; returns the engine's status. */
static uint64_t dma(uint64_t pattern)
{
    put64(engine + ENGINE_ADDR, (uint64_t)target);
    put64(engine + ENGINE_LEN, PAGE_SIZE);
    put64(engine + ENGINE_PATTERN, pattern);
    put64(engine + ENGINE_CMD, CMD_WRITE_MEMORY);
    return get64(engine + ENGINE_STATUS);
}

static bool target_is(uint64_t pattern)
{
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++) {
        if (get64((uint64_t)&target[i]) != pattern) {
            return false;
        }
    }
    return true;
}

static uint64_t nonce(unsigned at) { return get64((uint64_t)info + at); }

static void validate(uint64_t base, uint64_t top)
{
    while (base < top) {
        uint64_t x[12] = { SMC64_STD(RSI_FID_VDEV_VALIDATE_MAPPING), vdev, base, top, base, 0,
                           nonce(RSI_VDEV_INFO_LOCK_NONCE), nonce(RSI_VDEV_INFO_MEAS_NONCE),
                           nonce(RSI_VDEV_INFO_REPORT_NONCE) };
        uint64_t x12[12] = { SMC64_STD(RSI_FID_RDEV_VALIDATE_MAPPING), vdev, instance, base, top, base, 0 };

        smc(ALP12 ? x12 : x);
        uint64_t *r = ALP12 ? x12 : x;
        CHECK(r[0] == RSI_SUCCESS && r[2] == RSI_ACCEPT && r[1] > base && r[1] <= top);
        base = r[1];
    }
}

static void accept(void)
{
    for (unsigned i = 0; i < n_ranges; i++) {
        validate(range[i].base, range[i].top);
    }
    if (ALP12) {
        rdev(RSI_FID_RDEV_START, 0);
        rdev_state_is(RSI_RDEV_STARTED);
    } else {
        set_tdi_state(RHI_TDI_RUN);
        CHECK(get64(engine + ENGINE_ID) == ENGINE_NAME);
        CHECK(dma(1) == STATUS_REFUSED && target_is(0)); /* not before we say so */
        CHECK(rsi(RSI_FID_VDEV_DMA_ENABLE, vdev, 0, 0, nonce(RSI_VDEV_INFO_LOCK_NONCE) + 1,
                  nonce(RSI_VDEV_INFO_MEAS_NONCE), nonce(RSI_VDEV_INFO_REPORT_NONCE)) == RSI_ERROR_DEVICE);
        CHECK(rsi(RSI_FID_VDEV_DMA_ENABLE, vdev, 0, 0, nonce(RSI_VDEV_INFO_LOCK_NONCE),
                  nonce(RSI_VDEV_INFO_MEAS_NONCE), nonce(RSI_VDEV_INFO_REPORT_NONCE)) == RSI_SUCCESS);
    }
    tell(STEP_ACCEPTED);
}

static void use(uint64_t pattern)
{
    CHECK(get64(engine + ENGINE_ID) == ENGINE_NAME);
    CHECK(dma(pattern) == STATUS_OK && target_is(pattern));
    tell(STEP_PRIVATE_DMA);
    CHECK(target_is(pattern)); /* nor has another Realm's device been here, which uses the same address */
}

static void unlock(void)
{
    if (!ALP12) {
        CHECK(rsi(RSI_FID_VDEV_DMA_DISABLE, vdev, 0, 0, 0, 0, 0) == RSI_SUCCESS);
        CHECK(dma(2) == STATUS_REFUSED && !target_is(2));
    }
    for (unsigned i = 0; i < n_ranges; i++) {
        for (uint64_t base = range[i].base; base < range[i].top; base = out[1]) {
            CHECK(rsi(RSI_FID_IPA_STATE_SET, base, range[i].top, RIPAS_EMPTY, RSI_CHANGE_DESTROYED, 0, 0) ==
                      RSI_SUCCESS && out[2] == RSI_ACCEPT && out[1] > base);
        }
    }
    if (ALP12) {
        rdev(RSI_FID_RDEV_STOP, 0);
    }
    set_tdi_state(RHI_TDI_UNLOCKED);
    tell(STEP_UNLOCKED);
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++) {
        put64((uint64_t)&target[i], 0);
    }
}

void realm_main(uint64_t vdev_id, uint64_t mode)
{
    uint64_t off[12] = { 0x84000008 }; /* PSCI SYSTEM_OFF */

    vdev = vdev_id;
    CHECK(rsi(RSI_FID_VERSION, RMI_ABI_VERSION(1, 0), 0, 0, 0, 0, 0) == RSI_SUCCESS);
    CHECK(rsi(RSI_FID_FEATURES, 0, 0, 0, 0, 0, 0) == RSI_SUCCESS && (out[1] & RSI_FEATURE0_DA));
    for (unsigned time = 0; time < 2; time++) {
        lock();
        accept();
        use((0x1122334455667788ull + time) ^ vdev << 32);
        if (mode == REALM_LEAVES_IT_RUNNING) {
            break;
        }
        unlock();
    }
    smc(off);
}
