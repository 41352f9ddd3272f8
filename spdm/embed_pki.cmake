# Writes the test PKI of images/pki as C text: cmake -DPKI=images/pki -DOUT=testpki.c -P embed_pki.cmake
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
pem_as_c(device_chain root.pem inter.pem leaf.pem)
pem_as_c(device_key leaf-key.pem)
pem_as_c(wrong_chain wrong-root.pem wrong-inter.pem wrong-leaf.pem)
pem_as_c(wrong_key wrong-leaf-key.pem)
pem_as_c(substitute_key substitute-key.pem)
string(APPEND OUTPUT [[
const SpdmPem *spdm_test_pem(SpdmTestPki which)
{
    static const SpdmPem device = { device_chain, device_key }, wrong = { wrong_chain, wrong_key };

    return which == SPDM_TEST_DEVICE ? &device : &wrong;
}

const char *spdm_test_substitute_key_pem(void) { return substitute_key; }
]])
file(WRITE ${OUT} "${OUTPUT}")
