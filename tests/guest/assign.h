/*
 * A host at NS-EL2 and its Realms, on their own: what a kernel with the device assignment series does for a device, as
 * a script. One image is both: the host copies it into each Realm, which enters it at another place. Nothing of the
 * emulator is in it but the numbers of RMI and RSI; the dialect is that of the build (ASSIGN_ALP12), as a kernel's is.
 * Bare metal, MMU off: memory is Device memory, accesses are aligned.
 */
#ifndef BAILEY_TESTS_ASSIGN_H
#define BAILEY_TESTS_ASSIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rmm/rmi.h"
#include "rmm/rsi.h"

#ifdef ASSIGN_ALP12
#define ALP12 true
#else
#define ALP12 false
#endif

enum { PAGE_SIZE = 4096, IPA_BITS = 48 };
#define SHARED_HALF (1ull << (IPA_BITS - 1))
#define SHARED_IPA  0x42000000ull /* a page that Realm and host share is there, in the unprotected half */

/* What a Realm tells its host beside RHI: RSI_HOST_CALL with one of these as immediate and a number in gprs[1]. */
enum { TELL_STEP = 1, TELL_FAILED = 2 };
typedef enum Step {
    STEP_LOCKED, STEP_EVIDENCE, STEP_ACCEPTED, STEP_PRIVATE_DMA, STEP_UNLOCKED, N_STEPS
} Step;

/* x[0] of a Realm at its start is the VDEV's number, x[1] what it is to do. */
enum { REALM_TWICE = 0, REALM_LEAVES_IT_RUNNING = 1 };

extern char image_base[], image_end[];
void        realm_entry(void);
void        host_main(void);
void        realm_main(uint64_t vdev_id, uint64_t mode);

void smc(uint64_t x[12]);

static inline uint64_t get64(uint64_t at) { return *(volatile uint64_t *)at; }
static inline void     put64(uint64_t at, uint64_t v) { *(volatile uint64_t *)at = v; }

static inline void copy_bytes(void *to, const void *from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        ((volatile uint8_t *)to)[i] = ((const volatile uint8_t *)from)[i];
    }
}

/* The physical bus, by configuration requests (assign_pci.c). */
typedef struct AssignDevice {
    uint16_t port, bdf;
    struct {
        uint64_t base, size;
    } bar[6];
} AssignDevice;

/* Each returns false where the machine is not as it should be. */
bool     assign_pci_start(AssignDevice *d, unsigned nth); /* of the root ports and the device below */
bool     assign_pci_stream(const AssignDevice *d, bool enable);
bool     assign_pci_discover(const AssignDevice *d);
/* One object to the mailbox and one back; returns its length in bytes, 0: none. @message, @answer: at most a page. */
uint32_t assign_pci_doe(const AssignDevice *d, unsigned type, uint64_t message, uint64_t len, uint64_t answer);

#endif
