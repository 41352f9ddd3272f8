/*
 * Makes the TEST PKI when Bailey is built: every private key here is public, on purpose. Never trust these roots.
 *
 *   mkpki FOLDER
 *
 * The same sources give the same bytes, so that measurements, evidence and captures repeat from build to build:
 * libcrypto draws from a generator that the name of the key or certificate seeds. FOLDER gets the files below, for
 * tests and users, and testpki.c: what the program holds of them. All kinds of keys (KIND: rsa2048 rsa3072 rsa4096 p256
 * p521 ed25519 ed448) have a root CA, an intermediate CA and leaves of their own; P-384, what a device uses unless told
 * otherwise, has its files without KIND.
 *
 *   root.pem inter.pem leaf.pem   the device's chain: root CA, intermediate CA, device leaf (P-384, SHA-384)
 *   leaf-key.pem inter-key.pem    the leaf's and the intermediate CA's private keys
 *   expired-leaf.pem              a leaf with leaf-key.pem whose time is over: for negative tests
 *   usage-leaf.pem                a leaf with leaf-key.pem that may not sign: for negative tests
 *   requester-leaf.pem            a leaf with leaf-key.pem for the other end: a requester's
 *   KIND-chain.pem KIND-key.pem   the device's chain, root first, with keys of another kind; the leaf's private key
 *   owner-chain.pem               the device's own key (P-384) certified by another CA, as for another certificate slot
 *   device-ca-chain.pem           the device's own key (P-384) as a CA's under another root, to certify its alias
 *   wrong-*.pem                   a chain of the same shape and names under another root: for negative tests
 *   substitute-key.pem            a key that belongs to no certificate: for negative tests
 *   MODEL/                        leaves and chains of the same names for another device model than tdisp-nic: the same
 *                                 keys and CAs, the model's IDs
 *   attest/root.pem               the root of CCA attestation (P-384, SHA-384)
 *   attest/cpak.pem cpak-key.pem  the platform's attestation key (CPAK): certificate, private key
 *
 * A leaf says which device it is for in two ways: DMTF DSP0274 "Leaf certificate", and PCI Express Base Specification
 * 6.0 "CMA-SPDM", whose text a host compares with configuration space. A host may refuse a leaf in which any such text
 * differs (Linux does), so each model has a leaf of its own. The IDs are those of hw/; a test compares them.
 */
#include <errno.h>
#include <glib.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entropy.h"
#include "spdm/certify.h"
#include "spdm/pki.h"

#define FROM        "20250101000000Z"
#define UNTIL       "20650101000000Z"
#define UNTIL_EARLY "20250201000000Z"

enum { EXTENSIONS_MAX = 8, SERIAL_LEN = 16 };

/* DSP0274 "Leaf certificate": .2 marks a hardware identity, carried in the SPDM extension .6; .3 and .4 are the
 * extended key usages of a responder and a requester. */
#define HARDWARE_IDENTITY { "1.3.6.1.4.1.412.274.6", "DER:30:0e:30:0c:06:0a:2b:06:01:04:01:83:1c:82:12:02" }
#define FOR_RESPONDER     { "extendedKeyUsage", "1.3.6.1.4.1.412.274.3" }
#define FOR_REQUESTER     { "extendedKeyUsage", "1.3.6.1.4.1.412.274.4" }
#define FOR_A_SERVER      { "extendedKeyUsage", "serverAuth" }
#define IS_CA             { "basicConstraints", "critical,CA:TRUE" }
#define IS_LAST_CA        { "basicConstraints", "critical,CA:TRUE,pathlen:0" }
#define IS_LEAF           { "basicConstraints", "critical,CA:FALSE" }
#define MAY_CERTIFY       { "keyUsage", "critical,keyCertSign,cRLSign" }
#define MAY_CERTIFY_ALIAS { "keyUsage", "critical,keyCertSign" }
#define MAY_SIGN          { "keyUsage", "critical,digitalSignature" }
#define MAY_AGREE         { "keyUsage", "critical,keyAgreement" }
#define DEVICE_NAME       { "subjectAltName", NULL } /* the model's */
#define KEY_ID            { "subjectKeyIdentifier", "hash" }
#define KEY_IDS           KEY_ID, { "authorityKeyIdentifier", "keyid" }

#define FORM(name, until, ...)                                                  \
    static const SpdmExtension name##_extensions[] = { __VA_ARGS__, { 0 } };    \
    static const SpdmCertForm  name##_form = { FROM, until, name##_extensions }

FORM(root,        UNTIL,       IS_CA,      MAY_CERTIFY, KEY_ID);
FORM(inter,       UNTIL,       IS_LAST_CA, MAY_CERTIFY, KEY_IDS);
FORM(leaf,        UNTIL,       IS_LEAF,    MAY_SIGN,    FOR_RESPONDER, DEVICE_NAME, KEY_IDS, HARDWARE_IDENTITY);
FORM(expired,     UNTIL_EARLY, IS_LEAF,    MAY_SIGN,    FOR_RESPONDER, DEVICE_NAME, KEY_IDS, HARDWARE_IDENTITY);
FORM(usage,       UNTIL,       IS_LEAF,    MAY_AGREE,   FOR_A_SERVER, DEVICE_NAME, KEY_IDS);
FORM(requester,   UNTIL,       IS_LEAF,    MAY_SIGN,    FOR_REQUESTER, KEY_IDS);
FORM(device_ca,   UNTIL,       IS_CA,      MAY_CERTIFY_ALIAS, DEVICE_NAME, KEY_IDS, HARDWARE_IDENTITY);
FORM(attest_root, UNTIL,       IS_LAST_CA, MAY_CERTIFY, KEY_ID);
FORM(cpak,        UNTIL,       IS_LEAF,    MAY_SIGN,    KEY_IDS);

/* Device models that carry a security manager, with what configuration space says of them. */
static const struct Model {
    const char *name, *folder;
    unsigned    vendor, device, class_code, revision, subsystem_vendor, subsystem;
} models[] = {
    { "tdisp-nic",      "",                0x1af4, 0x1041, 0x020000, 1, 0x1af4, 0x1100 },
    { "virtio-blk-pci", "virtio-blk-pci/", 0x1af4, 0x1042, 0x010000, 1, 0x1af4, 0x1100 },
    { "nvme",           "nvme/",           0x1b36, 0x0010, 0x010802, 0, 0x1af4, 0x1100 },
};

static const char *folder;
static GString    *entries, *texts; /* of testpki.c */

static G_GNUC_NORETURN void fail(const char *what, const char *name)
{
    fprintf(stderr, "mkpki: cannot %s %s: %s\n", what, name, ERR_reason_error_string(ERR_peek_last_error()));
    exit(1);
}

/* ---- files ---- */

static void put_file(const char *name, const char *text)
{
    char *path = g_build_filename(folder, name, NULL), *dir = g_path_get_dirname(path);

    if (g_mkdir_with_parents(dir, 0777) != 0 || !g_file_set_contents(path, text, -1, NULL)) {
        fprintf(stderr, "mkpki: cannot write '%s': %s\n", path, g_strerror(errno));
        exit(1);
    }
    g_free(dir);
    g_free(path);
}

static char *take_text(BIO *bio)
{
    char *data, *text;
    long  len = BIO_get_mem_data(bio, &data);

    text = g_strndup(data, (gsize)len);
    BIO_free(bio);
    return text;
}

static char *certificate_pem(X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio == NULL || PEM_write_bio_X509(bio, cert) != 1) {
        fail("write", "a certificate");
    }
    return take_text(bio);
}

static char *key_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        fail("write", "a key");
    }
    return take_text(bio);
}

static void put_certificate(const char *name, X509 *cert)
{
    char *text = certificate_pem(cert);

    put_file(name, text);
    g_free(text);
}

static void put_key(const char *name, EVP_PKEY *key)
{
    char *text = key_pem(key);

    put_file(name, text);
    g_free(text);
}

/* PEM has no quote or backslash, so that each line becomes one string literal as it is. */
static void add_literal(GString *to, const char *pem)
{
    char **lines = g_strsplit(pem, "\n", -1);

    for (char **line = lines; *line != NULL; line++) {
        if (**line != 0) {
            g_string_append_printf(to, "        \"%s\\n\"\n", *line);
        }
    }
    g_strfreev(lines);
}

static void add_entry(const struct Model *model, SpdmTestPki which, SpdmKeyKind kind, const char *chain, EVP_PKEY *key)
{
    char *text = key_pem(key);

    g_string_append_printf(entries, "    { \"%s\", (SpdmTestPki)%d, (SpdmKeyKind)%d, {\n", model->name, (int)which,
                           (int)kind);
    add_literal(entries, chain);
    g_string_append(entries, "        ,\n");
    add_literal(entries, text);
    g_string_append(entries, "    } },\n");
    g_free(text);
}

/* A function of the program that gives one file; frees @pem. */
static void add_text(const char *function, char *pem)
{
    g_string_append_printf(texts, "\nconst char *%s(void)\n{\n    return\n", function);
    add_literal(texts, pem);
    g_string_append(texts, "        ;\n}\n");
    g_free(pem);
}

/* ---- certificates ---- */

typedef struct Issuer {
    X509       *cert;
    EVP_PKEY   *key;
    SpdmKeyKind kind;
} Issuer;

/* What libcrypto draws from here on depends on @name alone. */
static void draw_for(Entropy *e, const char *name)
{
    char *party = g_strdup_printf("Bailey test PKI: %s", name);

    entropy_init(e, 1, party);
    entropy_use(e);
    g_free(party);
}

static EVP_PKEY *new_key(SpdmKeyKind kind, const char *name)
{
    const SpdmKeyType *type = spdm_key_type(kind);
    char              *full = g_strdup_printf("%s %s key", type->name, name);
    EVP_PKEY          *key;
    Entropy            e;

    draw_for(&e, full);
    key = type->group != NULL               ? EVP_PKEY_Q_keygen(NULL, NULL, type->fetch, type->group)
          : strcmp(type->fetch, "RSA") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, type->fetch, (size_t)type->bits)
                                            : EVP_PKEY_Q_keygen(NULL, NULL, type->fetch);
    if (key == NULL) {
        fail("make", full);
    }
    entropy_use(NULL);
    g_free(full);
    return key;
}

/* NULL: keys that hash for themselves (RFC 8410). */
static const EVP_MD *hash_of(SpdmKeyKind kind)
{
    const SpdmKeyType *type = spdm_key_type(kind);

    if (type->group == NULL) {
        return strcmp(type->fetch, "RSA") == 0 ? EVP_sha384() : NULL;
    }
    return type->bits == 256 ? EVP_sha256() : type->bits == 384 ? EVP_sha384() : EVP_sha512();
}

static char *device_name(const struct Model *m)
{
    return g_strdup_printf("otherName:1.3.6.1.4.1.412.274.1;UTF8:Bailey:%s:0001,"
                           "otherName:2.23.147;UTF8:Vendor=%04x:Device=%04x:CC=%06x:REV=%02x:SSVID=%04x:SSID=%04x",
                           m->name, m->vendor, m->device, m->class_code, m->revision, m->subsystem_vendor,
                           m->subsystem);
}

static X509_NAME *new_subject(const char *common_name)
{
    X509_NAME *subject = X509_NAME_new();

    if (subject == NULL ||
        X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const uint8_t *)"Bailey TEST ONLY", -1, -1, 0) != 1 ||
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const uint8_t *)common_name, -1, -1, 0) != 1) {
        fail("name", common_name);
    }
    return subject;
}

/*
 * One certificate.
 * @name: no other one's: serial number and signature come from it
 * @model: whose name goes where the form wants it
 * @issuer: its certificate NULL: the certificate is its own
 */
static X509 *certify(const char *name, const char *common_name, const SpdmCertForm *form, const struct Model *model,
                     EVP_PKEY *key, const Issuer *issuer)
{
    char         *device = device_name(model);
    SpdmExtension extensions[EXTENSIONS_MAX];
    SpdmCertForm  filled = { form->from, form->until, extensions };
    X509_NAME    *subject = new_subject(common_name);
    uint8_t       serial[SERIAL_LEN];
    Entropy       e;
    X509         *cert;
    size_t        n = 0;

    do {
        extensions[n] = form->extensions[n];
        if (extensions[n].name != NULL && extensions[n].value == NULL) {
            extensions[n].value = device;
        }
    } while (form->extensions[n++].name != NULL);
    draw_for(&e, name);
    entropy_bytes(&e, serial, sizeof(serial));
    serial[0] = (serial[0] & 0x3f) | 0x40; /* positive, and always as long */
    cert = spdm_certificate_new(&filled, subject, (SpdmSpan){ serial, sizeof(serial) }, key, issuer->cert);
    if (cert == NULL || X509_sign(cert, issuer->key, hash_of(issuer->kind)) <= 0) {
        fail("certify", name);
    }
    entropy_use(NULL);
    X509_NAME_free(subject);
    g_free(device);
    return cert;
}

/* The CAs above a leaf, and the key of the leaves. */
typedef struct Tree {
    const char *name;
    Issuer      root, inter; /* inter.cert NULL: the root certifies the device */
    EVP_PKEY   *leaf_key;
} Tree;

/* @whose: part of the CAs' names, such as "owner's "; @leaf_key: NULL: a new one */
static Tree new_tree(const char *name, SpdmKeyKind kind, const char *whose, EVP_PKEY *leaf_key, bool has_inter)
{
    Tree  t = { .name = name, .root.kind = kind, .inter.kind = kind };
    char *root = g_strdup_printf("%s root", name), *inter = g_strdup_printf("%s intermediate", name),
         *leaf = g_strdup_printf("%s leaf", name), *root_cn = g_strdup_printf("Bailey TEST %sroot CA", whose),
         *inter_cn = g_strdup_printf("Bailey TEST %sintermediate CA", whose);

    t.root.key = new_key(kind, root);
    t.root.cert = certify(root, root_cn, &root_form, models, t.root.key, &t.root);
    if (has_inter) {
        t.inter.key = new_key(kind, inter);
        t.inter.cert = certify(inter, inter_cn, &inter_form, models, t.inter.key, &t.root);
    }
    if (leaf_key != NULL) {
        EVP_PKEY_up_ref(leaf_key);
    }
    t.leaf_key = leaf_key != NULL ? leaf_key : new_key(kind, leaf);
    g_free(inter_cn);
    g_free(root_cn);
    g_free(leaf);
    g_free(inter);
    g_free(root);
    return t;
}

static void free_tree(Tree *t)
{
    EVP_PKEY_free(t->leaf_key);
    X509_free(t->inter.cert);
    EVP_PKEY_free(t->inter.key);
    X509_free(t->root.cert);
    EVP_PKEY_free(t->root.key);
}

/* A leaf of a model; its PEM alone goes to @leaf_file, the chain that ends with it to @chain_file, each if wanted. */
static void add_leaf(const Tree *t, const struct Model *m, SpdmTestPki which, const SpdmCertForm *form,
                     const char *leaf_file, const char *chain_file)
{
    const Issuer *issuer = t->inter.cert != NULL ? &t->inter : &t->root;
    char *name = g_strdup_printf("%s %s leaf %d", t->name, m->name, (int)which);
    char *common_name = g_strdup_printf("Bailey TEST %s", which == SPDM_TEST_REQUESTER ? "requester" : m->name);
    X509 *cert = certify(name, common_name, form, m, t->leaf_key, issuer);
    char *leaf = certificate_pem(cert), *root = certificate_pem(t->root.cert),
         *inter = t->inter.cert != NULL ? certificate_pem(t->inter.cert) : g_strdup(""),
         *chain = g_strconcat(root, inter, leaf, NULL),
         *path = g_strconcat(m->folder, leaf_file != NULL ? leaf_file : chain_file, NULL);

    put_file(path, leaf_file != NULL ? leaf : chain);
    add_entry(m, which, t->root.kind, chain, t->leaf_key);
    g_free(path);
    g_free(chain);
    g_free(inter);
    g_free(root);
    g_free(leaf);
    X509_free(cert);
    g_free(common_name);
    g_free(name);
}

/* ---- what there is ---- */

static void make_kind(SpdmKeyKind kind)
{
    const char *name = spdm_key_type(kind)->name;
    Tree        t = new_tree(name, kind, "", NULL, true);
    char       *chain = g_strdup_printf("%s-chain.pem", name), *key = g_strdup_printf("%s-key.pem", name);

    for (size_t i = 0; i < G_N_ELEMENTS(models); i++) {
        add_leaf(&t, &models[i], SPDM_TEST_DEVICE, &leaf_form, NULL, chain);
    }
    put_key(key, t.leaf_key);
    g_free(key);
    g_free(chain);
    free_tree(&t);
}

/* P-384, with all that goes wrong. */
static void make_p384(void)
{
    Tree t = new_tree("p384", SPDM_KEY_P384, "", NULL, true), wrong = new_tree("wrong", SPDM_KEY_P384, "", NULL, true),
         owner = new_tree("owner", SPDM_KEY_P384, "owner's ", t.leaf_key, true),
         device = new_tree("device CA", SPDM_KEY_P384, "device ", t.leaf_key, false);
    EVP_PKEY *substitute = new_key(SPDM_KEY_P384, "substitute");

    put_certificate("root.pem", t.root.cert);
    put_certificate("inter.pem", t.inter.cert);
    put_key("inter-key.pem", t.inter.key);
    put_key("leaf-key.pem", t.leaf_key);
    put_certificate("wrong-root.pem", wrong.root.cert);
    put_certificate("wrong-inter.pem", wrong.inter.cert);
    put_key("wrong-leaf-key.pem", wrong.leaf_key);
    put_key("substitute-key.pem", substitute);
    add_text("spdm_test_substitute_key_pem", key_pem(substitute));
    for (size_t i = 0; i < G_N_ELEMENTS(models); i++) {
        add_leaf(&t, &models[i], SPDM_TEST_DEVICE, &leaf_form, "leaf.pem", NULL);
        add_leaf(&t, &models[i], SPDM_TEST_EXPIRED, &expired_form, "expired-leaf.pem", NULL);
        add_leaf(&t, &models[i], SPDM_TEST_WRONG_USAGE, &usage_form, "usage-leaf.pem", NULL);
        add_leaf(&wrong, &models[i], SPDM_TEST_WRONG_ROOT, &leaf_form, "wrong-leaf.pem", NULL);
        add_leaf(&owner, &models[i], SPDM_TEST_OWNER, &leaf_form, NULL, "owner-chain.pem");
        add_leaf(&device, &models[i], SPDM_TEST_DEVICE_CA, &device_ca_form, NULL, "device-ca-chain.pem");
    }
    add_leaf(&t, &models[0], SPDM_TEST_REQUESTER, &requester_form, "requester-leaf.pem", NULL);
    EVP_PKEY_free(substitute);
    free_tree(&device);
    free_tree(&owner);
    free_tree(&wrong);
    free_tree(&t);
}

static void make_attestation(void)
{
    Issuer    root = { .key = new_key(SPDM_KEY_P384, "attestation root"), .kind = SPDM_KEY_P384 };
    EVP_PKEY *key = new_key(SPDM_KEY_P384, "CPAK");
    X509     *cpak;

    root.cert = certify("attestation root", "Bailey TEST CCA attestation root", &attest_root_form, models, root.key,
                        &root);
    cpak = certify("CPAK", "Bailey TEST CCA platform attestation key", &cpak_form, models, key, &root);
    put_certificate("attest/root.pem", root.cert);
    put_certificate("attest/cpak.pem", cpak);
    put_key("attest/cpak-key.pem", key);
    add_text("attest_root_pem", certificate_pem(root.cert));
    add_text("attest_platform_pem", certificate_pem(cpak));
    add_text("attest_platform_key_pem", key_pem(key));
    X509_free(cpak);
    EVP_PKEY_free(key);
    X509_free(root.cert);
    EVP_PKEY_free(root.key);
}

int main(int argc, char **argv)
{
    char *source;

    if (argc != 2) {
        fprintf(stderr, "usage: mkpki FOLDER\n");
        return 2;
    }
    folder = argv[1];
    entries = g_string_new(NULL);
    texts = g_string_new(NULL);
    make_p384();
    for (unsigned kind = 0; kind < SPDM_N_KEY_KINDS; kind++) {
        if (kind != SPDM_KEY_P384) {
            make_kind((SpdmKeyKind)kind);
        }
    }
    make_attestation();
    source = g_strconcat("/* Made by images/pki/mkpki.c. TEST KEYS: public, never to be trusted. */\n"
                         "#include \"rmm/attest_pki.h\"\n#include \"spdm/testpki.h\"\n\n"
                         "const SpdmTestEntry spdm_test_entries[] = {\n", entries->str,
                         "};\n\nconst size_t spdm_test_n_entries =\n"
                         "    sizeof(spdm_test_entries) / sizeof(spdm_test_entries[0]);\n", texts->str, NULL);
    put_file("testpki.c", source);
    g_free(source);
    g_string_free(texts, TRUE);
    g_string_free(entries, TRUE);
    return 0;
}
