/*
 * Where the built-in host can be told to misbehave. Each place is one call of host_fault_at(), made just before or
 * after the host does its duty, with what it is about to do in a HostDeed; the faults of that place (the table in
 * faults.c) change the deed. Without -M cca,host-fault= nothing is ever changed.
 */
#ifndef BAILEY_HOST_FAULTS_H
#define BAILEY_HOST_FAULTS_H

#include "host/host.h"
#include "host/assign.h"

typedef enum HostFaultPlace {
    FAULT_AT_CONNECT, /* a device is to be connected */
    FAULT_AT_CALL,    /* the Realm asks for something that needs the device */
    FAULT_AT_TURN,    /* the host is to work for the Realm until that is done */
    FAULT_AT_ABORT,   /* the Realm wants that work to end */
    FAULT_AT_OBJECT,  /* the Realm asks how long an object is, or for its bytes */
    FAULT_AT_NAME,    /* the RMM is to be told which VDEV the Realm means */
    FAULT_AT_MAP,     /* pages of registers are to be mapped for the Realm */
    FAULT_AT_ANSWER,  /* a message of the device has come, for the RMM */
    FAULT_AT_STATE,   /* the interface has got to a state */
    FAULT_WHEN_ASKED, /* at no place of its own: only when the Realm says so */
} HostFaultPlace;

/* What is about to be done; the places say which members they use. Those marked "out" may be changed by a fault. */
typedef struct HostDeed {
    HostDevice       *d;       /* NULL at FAULT_WHEN_ASKED, when there is no such device */
    HostCpu          *hc;
    bool              locks;   /* CALL: it asks for the state LOCKED */
    uint64_t          answer;  /* CALL, ABORT, WHEN_ASKED; out: status for the Realm, nothing else is done */
    unsigned          object;  /* OBJECT: RhiObject */
    bool              reads;   /* OBJECT: its bytes, not its length */
    const GByteArray *bytes;   /* OBJECT; out */
    uint64_t          size;    /* OBJECT; out */
    uint64_t          vdev;    /* NAME; out: granule, 0 for saying nothing */
    uint64_t          base;    /* MAP: IPA of the first page */
    uint64_t          pages;   /* MAP; out: at most so many now */
    bool              rejects; /* MAP; out: the rest is refused */
    unsigned          state;   /* STATE: HostFaultState */
    uint64_t          arg;     /* WHEN_ASKED: of the Realm's call */
} HostDeed;

typedef enum HostFaultState { FAULT_STATE_UNLOCKED = 1, FAULT_STATE_LOCKED, FAULT_STATE_RUN } HostFaultState;

/* host_fault_at - the faults of @place have their way with @deed. Returns whether one did. */
bool host_fault_at(Host *h, HostFaultPlace place, HostDeed *deed);

/**
 * host_fault_call - RSI_HOST_CALL with imm HOST_FAULT_IMM, which no RHI function uses: the Realm says when. A fault
 * that has a place is armed by it, others are committed there and then.
 * @gprs: gprs[1] argument, gprs[2] to gprs[5] name, filled up with zeroes
 * Returns the status of gprs[0]; all ones: this host was not told to commit that fault.
 */
uint64_t host_fault_call(Host *h, HostCpu *hc, const uint64_t gprs[31]);
#define HOST_FAULT_IMM 0xb417

void host_faults_drop(Host *h);

#endif
