/*
 * The boards' tables: nothing lies on something else, no two interrupts are one, CPUs have the affinities that software
 * for the board expects, and memory fills the banks in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "board/cca.h"

static const CcaBoard *const boards[] = { &cca_virt, &cca_fvp };

enum { MAX_SPANS = 64, N_CPUS = 8 };

typedef struct Map {
    const char *board;
    CcaSpan     span[MAX_SPANS];
    unsigned    n;
} Map;

static void put(Map *m, uint64_t base, uint64_t size)
{
    if (base == 0 || size == 0) {
        return;
    }
    for (unsigned i = 0; i < m->n; i++) {
        if (ranges_overlap(base, size, m->span[i].base, m->span[i].size)) {
            fail_msg("%s: 0x%llx overlaps 0x%llx", m->board, (unsigned long long)base,
                     (unsigned long long)m->span[i].base);
        }
    }
    assert_int_equal((base | size) % 0x1000, 0);
    m->span[m->n++] = (CcaSpan){ base, size };
}

static void test_no_overlap(void **state)
{
    for (size_t k = 0; k < G_N_ELEMENTS(boards); k++) {
        const CcaBoard *b = boards[k];
        Map             m = { .board = b->name };
        const uint64_t  page[] = { b->rtc.base,   b->fw_cfg,   b->sp805.base, b->gwdt.base,  b->gwdt_refresh,
                                   b->cntcontrol, b->cntread,  b->memtimer,   b->memtimer_frame.base,
                                   b->ve_sysregs, b->pwrc,    b->gpio.base };
        const CcaSpan   span[] = { b->ram[0],   b->ram[1],   b->flash[0], b->flash[1], b->gicd, b->its, b->smmu,
                                   b->pci_mmio, b->pci_high, b->pci_io,   b->ecam };

        for (size_t i = 0; i < G_N_ELEMENTS(page); i++) {
            put(&m, page[i], 0x1000);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(span); i++) {
            put(&m, span[i].base, span[i].size);
        }
        for (unsigned i = 0; i < CCA_MAX_UARTS; i++) {
            put(&m, b->uart[i].base, 0x1000);
        }
        for (unsigned i = 0; i < CCA_MAX_KEPT; i++) {
            put(&m, b->kept[i].at.base, b->kept[i].at.size);
        }
        put(&m, b->gicr, N_CPUS * CCA_GICR_STRIDE);
        put(&m, b->smmu_realm, b->smmu.size);
        put(&m, b->smmu_root, 0x10000);
    }
}

/* The RMM's memory is Realm memory that the firmware keeps, or follows the guest's. */
static void test_rmm_memory(void **state)
{
    for (size_t k = 0; k < G_N_ELEMENTS(boards); k++) {
        const CcaBoard *b = boards[k];
        bool            found = b->rmm == 0;

        for (unsigned i = 0; i < CCA_MAX_KEPT; i++) {
            const CcaKept *kept = &b->kept[i];

            found |= kept->owner == OWNER_REALM && b->rmm >= kept->at.base &&
                     b->rmm + CCA_RMM_SIZE <= kept->at.base + kept->at.size;
        }
        assert_true(found);
        assert_int_equal(b->kept[0].at.size == 0, b->rmm == 0);
    }
}

static void test_interrupts(void **state)
{
    for (size_t k = 0; k < G_N_ELEMENTS(boards); k++) {
        const CcaBoard *b = boards[k];
        const CcaPart  *part[] = { &b->uart[0], &b->uart[1], &b->uart[2],      &b->uart[3], &b->rtc,
                                   &b->sp805,   &b->gwdt,    &b->memtimer_frame, &b->gpio };
        bool            used[CCA_N_SPIS] = { false };

        for (size_t i = 0; i < G_N_ELEMENTS(part); i++) {
            if (part[i]->base != 0) {
                assert_in_range(part[i]->spi, 0, CCA_N_SPIS - 1);
                assert_false(used[part[i]->spi]);
                used[part[i]->spi] = true;
            }
        }
        for (unsigned i = 0; i < SMMU_N_IRQS; i++) {
            assert_false(used[b->spi_smmu[i]]);
            used[b->spi_smmu[i]] = true;
        }
        for (unsigned i = 0; i < 4; i++) {
            assert_false(used[b->spi_pci + i]);
            used[b->spi_pci + i] = true;
        }
    }
}

static void test_affinities(void **state)
{
    static const uint64_t fvp[] = { 0x000, 0x100, 0x200, 0x300, 0x10000, 0x10100, 0x10200, 0x10300 };

    for (unsigned i = 0; i < N_CPUS; i++) {
        assert_int_equal(cca_mpidr(&cca_virt, i), i);
        assert_int_equal(cca_mpidr(&cca_fvp, i), BIT(24) | fvp[i]);
    }
}

static void test_banks(void **state)
{
    static const struct {
        const CcaBoard *board;
        uint64_t        size, first, second;
        bool            fits;
    } rows[] = {
        { &cca_virt, 1ull << 30, 1ull << 30, 0, true },
        { &cca_virt, 256ull << 30, 255ull << 30, 0, false },
        { &cca_fvp, 1ull << 30, 1ull << 30, 0, true },
        { &cca_fvp, 0x7c000000, 0x7c000000, 0, true },
        { &cca_fvp, 4ull << 30, 0x7c000000, 0x84000000, true },
        { &cca_fvp, 33ull << 30, 0x7c000000, 30ull << 30, false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        CcaSpan banks[CCA_MAX_RAM];

        assert_int_equal(cca_fill_ram(rows[i].board, rows[i].size, banks), rows[i].fits);
        assert_int_equal(banks[0].size, rows[i].first);
        assert_int_equal(banks[1].size, rows[i].second);
        assert_int_equal(banks[0].base, rows[i].board->ram[0].base);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_overlap), cmocka_unit_test(test_rmm_memory), cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_affinities), cmocka_unit_test(test_banks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
