/*
 * The TEST keys of attestation, as text inside the program; images/pki/mkpki.c makes them at build. Public: never to
 * be trusted.
 */
#ifndef BAILEY_RMM_ATTEST_PKI_H
#define BAILEY_RMM_ATTEST_PKI_H

const char *attest_root_pem(void);         /* root certificate */
const char *attest_platform_pem(void);     /* certificate of the platform's key */
const char *attest_platform_key_pem(void); /* its private key */

#endif
