# Writes the test PKI of images/pki as C text: cmake -DPKI=images/pki -DKINDS="rsa2048;..." -DOUT=testpki.c -P embed_pki.cmake
# PEM has no quote or backslash, so that each line becomes one string literal as it is.
function(pem_as_c name)
  set(text "")
  foreach(file ${ARGN})
    file(STRINGS ${PKI}/${file} lines)
    foreach(line ${lines})
      string(APPEND text "    \"${line}\\n\"\n")
    endforeach()
  endforeach()
  string(APPEND OUTPUT "static const char ${name}[] =\n${text}    ;\n\n")
  set(OUTPUT "${OUTPUT}" PARENT_SCOPE)
endfunction()

set(OUTPUT "/* Made by spdm/embed_pki.cmake from images/pki. TEST KEYS: public, never to be trusted. */\n")
string(APPEND OUTPUT "#include \"spdm/pki.h\"\n\n")
pem_as_c(p384_chain root.pem inter.pem leaf.pem)
pem_as_c(p384_key leaf-key.pem)
foreach(kind ${KINDS})
  pem_as_c(${kind}_chain ${kind}-chain.pem)
  pem_as_c(${kind}_key ${kind}-key.pem)
endforeach()
pem_as_c(expired_chain root.pem inter.pem expired-leaf.pem)
pem_as_c(usage_chain root.pem inter.pem usage-leaf.pem)
pem_as_c(requester_chain root.pem inter.pem requester-leaf.pem)
pem_as_c(wrong_chain wrong-root.pem wrong-inter.pem wrong-leaf.pem)
pem_as_c(wrong_key wrong-leaf-key.pem)
pem_as_c(owner_chain owner-chain.pem)
pem_as_c(device_ca_chain device-ca-chain.pem)
pem_as_c(substitute_key substitute-key.pem)
string(APPEND OUTPUT "static const SpdmPem devices[SPDM_N_KEY_KINDS] = {\n    [SPDM_KEY_P384] = { p384_chain, p384_key },\n")
foreach(kind ${KINDS})
  string(TOUPPER ${kind} constant)
  string(REPLACE "RSA" "RSA_" constant ${constant})
  string(APPEND OUTPUT "    [SPDM_KEY_${constant}] = { ${kind}_chain, ${kind}_key },\n")
endforeach()
string(APPEND OUTPUT [[
};

const SpdmPem *spdm_test_pem(SpdmTestPki which, SpdmKeyKind kind)
{
    static const SpdmPem others[SPDM_TEST_N] = { /* of P-384 */
        [SPDM_TEST_WRONG_ROOT] = { wrong_chain, wrong_key },
        [SPDM_TEST_EXPIRED] = { expired_chain, p384_key },
        [SPDM_TEST_WRONG_USAGE] = { usage_chain, p384_key },
        [SPDM_TEST_REQUESTER] = { requester_chain, p384_key },
        [SPDM_TEST_OWNER] = { owner_chain, p384_key },
        [SPDM_TEST_DEVICE_CA] = { device_ca_chain, p384_key },
    };

    if (which != SPDM_TEST_DEVICE) {
        return kind == SPDM_KEY_P384 ? &others[which] : NULL;
    }
    return &devices[kind];
}

const char *spdm_test_substitute_key_pem(void) { return substitute_key; }
]])
file(WRITE ${OUT} "${OUTPUT}")
