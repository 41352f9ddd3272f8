# Writes the attestation test keys as C text: cmake -DPKI=images/pki/attest -DOUT=attest_pki.c -P embed_attest.cmake
# PEM has no quote or backslash, so that each line becomes one string literal as it is.
function(pem_function name file)
  file(STRINGS ${PKI}/${file} lines)
  set(text "const char *${name}(void)\n{\n    return\n")
  foreach(line ${lines})
    string(APPEND text "        \"${line}\\n\"\n")
  endforeach()
  set(OUTPUT "${OUTPUT}${text}        ;\n}\n\n" PARENT_SCOPE)
endfunction()

set(OUTPUT "/* Made by rmm/embed_attest.cmake. TEST KEYS: public, never to be trusted. */\n")
string(APPEND OUTPUT "#include \"rmm/attest_pki.h\"\n\n")
pem_function(attest_root_pem root.pem)
pem_function(attest_platform_pem cpak.pem)
pem_function(attest_platform_key_pem cpak-key.pem)
file(WRITE ${OUT} "${OUTPUT}")
