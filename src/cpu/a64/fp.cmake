# Floating-point and cryptographic arithmetic of A64: pure functions, usable without a CPU.
if(NOT TARGET a64fp)
  bailey_room(a64fp ${CMAKE_CURRENT_LIST_DIR}/fp.c ${CMAKE_CURRENT_LIST_DIR}/crypto.c)
  target_link_libraries(a64fp PUBLIC m)
endif()
