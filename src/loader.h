/*
 * Boot images: reading files, checking the arm64 Image header and laying kernel, initial RAM disk and device tree
 * out in a guest's memory. Linux "Booting AArch64 Linux". Shared by the board (boot=host) and the built-in host
 * (boot=realm), so that one kernel lies the same way in both.
 */
#ifndef BAILEY_LOADER_H
#define BAILEY_LOADER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* One piece of the layout: bytes that go to an address. */
typedef struct LoadPiece {
    const char *name;   /* "kernel", "initrd", "dtb" */
    uint64_t    addr;
    GBytes     *bytes;
} LoadPiece;

typedef struct BootLayout {
    LoadPiece piece[3]; /* in ascending address order: kernel, initrd (bytes NULL when there is none), dtb */
    uint64_t  entry;    /* first instruction */
    uint64_t  dtb_addr; /* goes into x0 */
    uint64_t  end;      /* first free address */
} BootLayout;

/* A part of an image: bytes for an address, zeroes after them up to its size. */
typedef struct LoadSegment {
    uint64_t       addr, size;
    const uint8_t *data;
    uint64_t       len; /* at most size */
} LoadSegment;

enum { LOADER_MAX_SEGMENTS = 16 };

/* An image of any kind: what goes where, and its first instruction. */
typedef struct LoadImage {
    GBytes     *file; /* what the segments point into */
    LoadSegment segment[LOADER_MAX_SEGMENTS];
    unsigned    n;
    uint64_t    entry;
} LoadImage;

/* loader_read_file - a whole file, with a sentence naming @option and the path when it cannot be. */
GBytes *loader_read_file(const char *path, const char *option, GError **error);

/**
 * loader_place - where kernel and initrd go.
 * @kernel: an arm64 Image, checked here
 * @initrd: may be NULL
 * @ram_base, @ram_size: the guest's RAM
 * The kernel is at a 2 MiB boundary + text_offset from @ram_base, the initrd at the next 2 MiB boundary after the
 * kernel's image_size (its BSS included), the device tree at the next 2 MiB boundary after that; cca_tree_build()
 * runs between this and loader_place_dtb(). Takes its own references.
 */
bool loader_place(BootLayout *l, GBytes *kernel, GBytes *initrd, uint64_t ram_base, uint64_t ram_size,
                  GError **error);
bool loader_place_dtb(BootLayout *l, GBytes *dtb, uint64_t ram_base, uint64_t ram_size, GError **error);
void loader_free(BootLayout *l);

/**
 * loader_image - take an image apart.
 * @file: an AArch64 ELF executable, whose program headers say where it goes; anything else is raw bytes for @addr
 * @raw:  an ELF file is raw bytes, too
 * @name: of the file, for messages
 * Takes its own reference. False with a sentence: a damaged ELF file, or one for another machine.
 */
bool loader_image(LoadImage *im, GBytes *file, uint64_t addr, bool raw, const char *name, GError **error);
void loader_image_free(LoadImage *im);

/* loader_image_flat - the image's memory in one piece from its lowest address @addr on, or NULL: more than @max. */
GBytes *loader_image_flat(const LoadImage *im, uint64_t max, uint64_t *addr);

#endif
