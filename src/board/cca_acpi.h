/*
 * ACPI tables of the machine for firmware that passes them on (EDK2): the same facts as the device tree's, from the
 * board's table. Where each number comes from is with its table in cca_acpi.c.
 */
#ifndef BAILEY_BOARD_CCA_ACPI_H
#define BAILEY_BOARD_CCA_ACPI_H

#include <glib.h>

#include "board/cca.h"

/* The three files of the table loader interface. */
typedef struct CcaAcpi {
    GByteArray *rsdp;   /* etc/acpi/rsdp */
    GByteArray *tables; /* etc/acpi/tables: DSDT, FADT, MADT, GTDT, MCFG, IORT, SPCR, DBG2, PPTT, XSDT */
    GByteArray *loader; /* etc/table-loader: how they go into memory */
} CcaAcpi;

/* cca_acpi_build - for @n_cpus CPUs and @n_uarts serial ports. */
CcaAcpi cca_acpi_build(const CcaBoard *b, unsigned n_cpus, unsigned n_uarts);
void    cca_acpi_free(CcaAcpi *t);

#endif
