/*
 * RMI calls as the host makes them: arguments in registers, an SMC, results in registers. And the host's
 * granules.
 */
#include <inttypes.h>

#include "host/host_int.h"
#include "log.h"

static const char *const status_names[] = {
    "RMI_SUCCESS",   "RMI_ERROR_INPUT",         "RMI_ERROR_REALM",  "RMI_ERROR_REC",
    "RMI_ERROR_RTT", "RMI_ERROR_NOT_SUPPORTED", "RMI_ERROR_DEVICE",
};

uint64_t host_rmi6(Host *h, A64Cpu *cpu, uint32_t fid, const uint64_t x[6])
{
    cpu->x[0] = SMC64_STD(fid);
    for (size_t i = 0; i < 6; i++) {
        cpu->x[1 + i] = x[i];
    }
    monitor_host_smc(h->cfg.monitor, cpu);
    return cpu->x[0];
}

uint64_t host_rmi(Host *h, A64Cpu *cpu, uint32_t fid, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4,
                  uint64_t x5)
{
    return host_rmi6(h, cpu, fid, (uint64_t[6]){ x1, x2, x3, x4, x5, 0 });
}

void host_fail(Host *h, const char *what, uint64_t x0)
{
    unsigned status = RMI_RETURN_STATUS(x0);
    char     text[256];

    g_snprintf(text, sizeof(text), "the built-in host could not %s: the RMM answered %s (index %u)", what,
               x0 == SMC_UNKNOWN                      ? "that there is no such command"
               : status < ARRAY_LEN(status_names) ? status_names[status]
                                                  : "an unknown status",
               RMI_RETURN_INDEX(x0));
    log_error("%s", text);
    h->phase = HOST_FAILED;
    machine_stop(h->cfg.machine, EXIT_BAD_INPUT, text);
}

uint64_t host_alloc(Host *h)
{
    uint64_t pa;

    if (h->spare->len != 0) {
        pa = g_array_index(h->spare, uint64_t, h->spare->len - 1);
        g_array_set_size(h->spare, h->spare->len - 1);
        memory_zero(h->cfg.memory, pa, host_attrs, PAGE_SIZE);
        return pa;
    }
    if (h->free == h->free_end) {
        log_error("the built-in host ran out of memory of its own");
        return 0;
    }
    pa = h->free;
    h->free += PAGE_SIZE;
    return pa;
}

uint64_t host_alloc_pages(Host *h, unsigned n, uint64_t align)
{
    uint64_t pa = align_up(h->free, align);

    if (pa + n * PAGE_SIZE > h->free_end) {
        log_error("the built-in host ran out of memory of its own");
        return 0;
    }
    while (h->free < pa) { /* what alignment skips serves as single pages */
        host_release(h, h->free);
        h->free += PAGE_SIZE;
    }
    h->free += n * PAGE_SIZE;
    return pa;
}

void host_release(Host *h, uint64_t pa)
{
    g_array_append_val(h->spare, pa);
}

bool host_delegate(Host *h, A64Cpu *cpu, uint64_t pa)
{
    uint64_t x0 = host_rmi(h, cpu, RMI_FID_GRANULE_DELEGATE, pa, 0, 0, 0, 0);

    if (x0 != RMI_SUCCESS) {
        host_fail(h, "delegate a granule", x0);
    }
    return x0 == RMI_SUCCESS;
}

bool host_undelegate(Host *h, A64Cpu *cpu, uint64_t pa)
{
    uint64_t x0 = host_rmi(h, cpu, RMI_FID_GRANULE_UNDELEGATE, pa, 0, 0, 0, 0);

    if (x0 != RMI_SUCCESS) {
        host_fail(h, "take back a granule", x0);
    }
    return x0 == RMI_SUCCESS;
}

bool host_take_back(Host *h, A64Cpu *cpu, uint64_t pa)
{
    if (!host_undelegate(h, cpu, pa)) {
        return false;
    }
    host_release(h, pa);
    return true;
}

uint64_t host_alloc_delegated(Host *h, A64Cpu *cpu)
{
    uint64_t pa = host_alloc(h);

    return pa != 0 && host_delegate(h, cpu, pa) ? pa : 0;
}

uint64_t host_get64(Host *h, uint64_t pa)
{
    uint8_t b[8] = { 0 };

    memory_read(h->cfg.memory, pa, host_attrs, b, sizeof(b));
    return le64_get(b);
}

void host_put64(Host *h, uint64_t pa, uint64_t v)
{
    uint8_t b[8];

    le64_put(b, v);
    memory_write(h->cfg.memory, pa, host_attrs, b, sizeof(b));
}

uint64_t host_reg_read(Host *h, uint64_t addr, unsigned size)
{
    uint8_t b[8] = { 0 };

    if (memory_read(h->cfg.memory, addr, host_attrs, b, size) != MEM_OK) {
        log_error("the built-in host cannot read the register at 0x%llx", (unsigned long long)addr);
    }
    return le_get(b, size);
}

void host_reg_write(Host *h, uint64_t addr, unsigned size, uint64_t v)
{
    uint8_t b[8];

    le_put(b, v, size);
    if (memory_write(h->cfg.memory, addr, host_attrs, b, size) != MEM_OK) {
        log_error("the built-in host cannot write the register at 0x%llx", (unsigned long long)addr);
    }
}
