/*
 * The Realm Services Interface: calls of a Realm by SMC. DEN0137, command pages RSI_*. Arguments and results
 * are the registers of the running CPU; a command that needs the host leaves the Realm and is finished at a
 * later REC_ENTER.
 */
#include "rmm/rmm_int.h"

#include <inttypes.h>
#include <string.h>

/* ---- Realm memory ---- */

RealmMap realm_map(Rmm *rmm, RmmCpu *c, const Realm *realm, uint64_t ipa, uint8_t **bytes)
{
    RttWalk  w = rtt_walk(rmm, realm, ipa, RTT_LAST_LEVEL);
    RttValue v = rtt_get(&w);

    if (v.kind == RTT_ASSIGNED && v.ripas == RIPAS_RAM) {
        *bytes = granule_ptr(rmm, v.pa + (ipa & (rtt_size(w.level) - 1)));
        return REALM_MAPPED;
    }
    if (v.ripas == RIPAS_EMPTY || v.ripas == RIPAS_DEV) {
        return REALM_MAP_EMPTY;
    }
    rec_exit_fault(&c->exit, ipa, w.level);
    return REALM_MAP_FAULT;
}

void realm_written(Rmm *rmm, const Realm *realm, uint64_t ipa, uint64_t len)
{
    RttWalk  w = rtt_walk(rmm, realm, ipa, RTT_LAST_LEVEL);
    uint64_t pa = rtt_get(&w).pa + (ipa & (rtt_size(w.level) - 1));

    memory_dirty(rmm->memory, pa, len);
}

/* ---- dispatch ---- */

/* For traces and whoever waits for it. */
static void tell_rsi(const Rmm *rmm, const RsiCommand *c, const RsiCall *call, uint64_t action)
{
    g_autoptr(GString) line = g_string_new(NULL);
    EventField         fields[2];
    unsigned           n = 0;
    uint64_t           status = action == RSI_AGAIN ? 0 : action;

    g_string_append_printf(line, "RSI_%s(", c->name);
    for (unsigned i = 1; i <= c->in; i++) {
        g_string_append_printf(line, "%s0x%" PRIx64, i == 1 ? "" : ", ", call->x[i]);
    }
    g_string_append_printf(line, ") = %s%" PRIu64 "%s%s", action == RSI_TO_HOST ? "exit " : "", status,
                           rmm->failure != NULL ? " " : "", rmm->failure != NULL ? rmm->failure->label : "");
    fields[n++] = action == RSI_TO_HOST ? (EventField){ .name = "status", .text = "to the host" }
                                        : (EventField){ .name = "status", .number = status };
    if (rmm->failure != NULL) {
        fields[n++] = (EventField){ .name = "failure", .text = rmm->failure->label };
    }
    LOG(RSI, "%s", line->str);
    event_tell(&(Event){ .kind = EVENT_RSI, .name = c->name, .realm = call->realm->vmid, .text = line->str,
                         .fields = fields, .n_fields = n,
                         .call = &(EventCall){ .cpu = call->cpu->cpu->cpu.index, .fid = call->x[0], .n_in = c->in,
                                               .in = &call->x[1], .n_out = c->out, .out = &call->out[1],
                                               .pending = action >= RSI_TO_HOST, .status = action } });
}

static const RsiCommand *rsi_find(const Rmm *rmm, uint32_t fid)
{
    if ((fid & 0xffff0000u) != SMC64_STD(0) || (fid & 0xffff) < RSI_FID_FIRST ||
        (fid & 0xffff) > RSI_FID_LAST) {
        return NULL;
    }
    const RsiCommand *c = rmm->rsi[(fid & 0xffff) - RSI_FID_FIRST];

    return c != NULL && c->needs_da && !rmm->da ? NULL : c;
}

const RmmFailure rsi_no_devices = { .where = "rsi", .label = "da_en", .file = __FILE__ };

static uint64_t run_command(Rmm *rmm, const RsiCommand *c, RsiCall *call)
{
    rmm->failure = NULL;
    rmm->rsi_count[c->fid - RSI_FID_FIRST]++;
    bool     allowed = !c->needs_da || (call->realm->flags0 & RMI_REALM_FLAG_DA);
    uint64_t action = allowed ? c->handler(rmm, call) : rmm_fail(rmm, &rsi_no_devices, RSI_ERROR_STATE, 0);

    if (log_on(LOG_RSI) || event_on(EVENT_RSI)) {
        tell_rsi(rmm, c, call, action);
    }
    if (action < RSI_TO_HOST) {
        call->out[0] = action;
        for (unsigned i = 1; i <= c->out; i++) {
            call->cpu->cpu->x[i] = call->out[i];
        }
    }
    return action;
}

/* DEN0137 "Realm SMC": the PC is after the SMC for every call that is over. */
void realm_smc(Rmm *rmm, RmmCpu *c)
{
    A64Cpu  *cpu = c->cpu;
    uint32_t fid = (uint32_t)cpu->x[0] & ~(uint32_t)BIT(16); /* DEN0028: the SVE hint */
    RsiCall  call = { .cpu = c, .rec = rec_at(rmm, c->rec) };
    uint64_t action = RSI_SUCCESS;

    call.realm = realm_at(rmm, call.rec->rd);
    memcpy(call.x, cpu->x, sizeof(call.x));
    call.out[0] = cpu->x[0];
    const RsiCommand *command = rsi_find(rmm, fid);
    LOG(SMC, "realm 0x%" PRIx32, fid);
    if (command != NULL) {
        action = run_command(rmm, command, &call);
    } else if (!realm_psci(rmm, &call, fid, &action)) {
        call.out[0] = SMC_UNKNOWN;
    }
    if (command == NULL && event_on(EVENT_SMC)) {
        smc_tell(cpu, call.x, realm_psci_find(fid), call.out[0], action >= RSI_TO_HOST);
    }
    if (action == RSI_AGAIN) {
        rec_leave(rmm, c);
        return;
    }
    cpu->pc += 4;
    cpu->x[0] = call.out[0];
    if (action == RSI_TO_HOST) {
        rec_leave(rmm, c);
    }
}

/* ---- commands ---- */

/* A page-aligned buffer in the protected half. */
#define REQUIRE_IPA(ipa, size, name)                                                                   \
    REQUIRE(is_aligned(ipa, size), RSI_ERROR_INPUT, name "_align");                                    \
    REQUIRE(realm_ipa_protected(call->realm, ipa), RSI_ERROR_INPUT, name "_bound")

/* RSI_VERSION. x1: requested revision. */
RSI(VERSION, .in = 1, .out = 2)
{
    static const uint64_t versions[] = { RMI_ABI_VERSION(1, 0), RMI_ABI_VERSION(1, 1), 0 };
    bool                  offered = rmm_negotiate(versions, call->x[1], &call->out[1], &call->out[2]);

    REQUIRE(offered, RSI_ERROR_INPUT, "req_version");
    return RSI_SUCCESS;
}

/* RSI_FEATURES. x1: index. */
RSI(FEATURES, .in = 1, .out = 1)
{
    bool da = rmm->da && (call->realm->flags0 & RMI_REALM_FLAG_DA);

    call->out[1] = call->x[1] == 0 && da ? RSI_FEATURE0_DA : 0;
    return RSI_SUCCESS;
}

/* RSI_MEASUREMENT_READ. x1: 0 for the RIM, 1 to 4 for a REM. Out: 64 bytes. */
RSI(MEASUREMENT_READ, .in = 1, .out = 8)
{
    REQUIRE(call->x[1] <= RMM_N_REM, RSI_ERROR_INPUT, "index_bound");
    for (unsigned i = 0; i < 8; i++) {
        call->out[1 + i] = le64_get(call->realm->measurement[call->x[1]] + 8 * i);
    }
    return RSI_SUCCESS;
}

/* RSI_MEASUREMENT_EXTEND. x1: 1 to 4, x2: bytes, x3 to x10: the bytes. */
RSI(MEASUREMENT_EXTEND, .in = 10, .out = 0)
{
    uint8_t data[64];

    REQUIRE(call->x[1] >= 1 && call->x[1] <= RMM_N_REM, RSI_ERROR_INPUT, "index_bound");
    REQUIRE(call->x[2] <= sizeof(data), RSI_ERROR_INPUT, "size_bound");
    for (unsigned i = 0; i < 8; i++) {
        le64_put(data + 8 * i, call->x[3 + i]);
    }
    measure_extend(rmm, call->realm, (unsigned)call->x[1], data, call->x[2]);
    return RSI_SUCCESS;
}

/* RSI_ATTESTATION_TOKEN_INIT. x1 to x8: challenge. Out: upper bound of the token's size. */
RSI(ATTESTATION_TOKEN_INIT, .in = 8, .out = 1)
{
    for (unsigned i = 0; i < 8; i++) {
        le64_put(call->rec->challenge + 8 * i, call->x[1 + i]);
    }
    call->rec->token = TOKEN_REQUESTED;
    call->out[1] = RMM_GRANULE_SIZE;
    return RSI_SUCCESS;
}

/* RSI_ATTESTATION_TOKEN_CONTINUE. x1: IPA of a page, x2: offset in it, x3: room. Out: bytes written. Signing
 * is done in one step: it takes no guest time. */
RSI(ATTESTATION_TOKEN_CONTINUE, .in = 3, .out = 1)
{
    uint64_t ipa = call->x[1], offset = call->x[2], size = call->x[3];
    Rec     *rec = call->rec;
    uint8_t *page;

    REQUIRE_IPA(ipa, RMM_GRANULE_SIZE, "addr");
    REQUIRE(offset < RMM_GRANULE_SIZE, RSI_ERROR_INPUT, "offset_bound");
    REQUIRE(offset + size >= offset, RSI_ERROR_INPUT, "size_overflow");
    REQUIRE(offset + size <= RMM_GRANULE_SIZE, RSI_ERROR_INPUT, "size_bound");
    REQUIRE(rec->token != TOKEN_NONE, RSI_ERROR_STATE, "state");
    REQUIRE_REALM_BUFFER(ipa, &page, "addr");
    uint8_t *token = granule_ptr(rmm, rec->aux);
    if (rec->token == TOKEN_REQUESTED) {
        rec->token_len = (uint32_t)token_make(rmm, call->realm, rec->challenge, token, RMM_GRANULE_SIZE);
        rec->token_pos = 0;
        REQUIRE(rec->token_len != 0, RSI_ERROR_UNKNOWN, "unknown");
        rec->token = TOKEN_READY;
    }

    uint32_t n = (uint32_t)MIN(size, rec->token_len - rec->token_pos);
    memcpy(page + offset, token + rec->token_pos, n);
    realm_written(rmm, call->realm, ipa, RMM_GRANULE_SIZE);
    rec->token_pos += n;
    call->out[1] = n;
    if (rec->token_pos < rec->token_len) {
        return RSI_INCOMPLETE;
    }
    rec->token = TOKEN_NONE;
    return RSI_SUCCESS;
}

/* RSI_REALM_CONFIG. x1: IPA of a page. */
RSI(REALM_CONFIG, .in = 1, .out = 0)
{
    const Realm *realm = call->realm;
    const void  *gic = call->cpu->cpu->gic;
    uint8_t     *page;

    REQUIRE_IPA(call->x[1], RMM_GRANULE_SIZE, "addr");
    REQUIRE_REALM_BUFFER(call->x[1], &page, "addr");
    memset(page, 0, RMM_GRANULE_SIZE);
    le64_put(page + RSI_CONFIG_IPA_WIDTH, realm->ipa_bits);
    page[RSI_CONFIG_HASH_ALGO] = realm->hash;
    le64_put(page + RSI_CONFIG_GICV3_VTR, gic == NULL ? 0 : gic_cpu_vtr(gic));
    memcpy(page + RSI_CONFIG_RPV, realm->rpv, sizeof(realm->rpv));
    realm_written(rmm, realm, call->x[1], RMM_GRANULE_SIZE);
    return RSI_SUCCESS;
}

/* RSI_IPA_STATE_SET. x1: base, x2: top, x3: RIPAS, x4: flags. Out (at the next enter): how far, accepted or
 * not. */
RSI(IPA_STATE_SET, .in = 4, .out = 2)
{
    uint64_t base = call->x[1], top = call->x[2], ripas = call->x[3];
    Rec     *rec = call->rec;

    REQUIRE(is_aligned(base, RMM_GRANULE_SIZE), RSI_ERROR_INPUT, "base_align");
    REQUIRE(is_aligned(top, RMM_GRANULE_SIZE), RSI_ERROR_INPUT, "top_align");
    REQUIRE(top > base, RSI_ERROR_INPUT, "size_valid");
    REQUIRE(top <= realm_par_top(call->realm), RSI_ERROR_INPUT, "rgn_bound");
    REQUIRE(ripas == RIPAS_EMPTY || ripas == RIPAS_RAM, RSI_ERROR_INPUT, "ripas_valid");

    rec->pending = REC_RIPAS;
    rec->ripas.base = base;
    rec->ripas.top = top;
    rec->ripas.ripas = (uint8_t)ripas;
    rec->ripas.change_destroyed = call->x[4] & RSI_CHANGE_DESTROYED;
    call->cpu->exit.reason = RMI_EXIT_RIPAS_CHANGE;
    call->cpu->exit.ripas_base = base;
    call->cpu->exit.ripas_top = top;
    call->cpu->exit.ripas = (uint8_t)ripas;
    return RSI_TO_HOST;
}

/* RSI_IPA_STATE_GET. x1: base, x2: end. Out: top of the run of equal RIPAS, RIPAS. Looks at one table. */
RSI(IPA_STATE_GET, .in = 2, .out = 2)
{
    uint64_t base = call->x[1], end = call->x[2];

    REQUIRE(is_aligned(base, RMM_GRANULE_SIZE), RSI_ERROR_INPUT, "base_align");
    REQUIRE(is_aligned(end, RMM_GRANULE_SIZE), RSI_ERROR_INPUT, "end_align");
    REQUIRE(end > base, RSI_ERROR_INPUT, "size_valid");
    REQUIRE(end <= realm_par_top(call->realm), RSI_ERROR_INPUT, "rgn_bound");

    RttWalk  w = rtt_walk(rmm, call->realm, base, RTT_LAST_LEVEL);
    uint64_t size = rtt_size(w.level), top = align_down(base, size) + size;
    for (unsigned i = w.index + 1; i < RTT_ENTRIES && top < end && rtt_same_ripas(&w, i); i++) {
        top += size;
    }
    call->out[1] = MIN(top, end);
    call->out[2] = rtt_get(&w).ripas;
    return RSI_SUCCESS;
}

/* RSI_HOST_CALL. x1: IPA of RsiHostCall. The host's answer is written at the next enter. */
RSI(HOST_CALL, .in = 1, .out = 0)
{
    RecExit *e = &call->cpu->exit;
    uint8_t *bytes;

    REQUIRE_IPA(call->x[1], RSI_HOST_CALL_SIZE, "addr");
    REQUIRE_REALM_BUFFER(call->x[1], &bytes, "addr");
    call->rec->pending = REC_HOST_CALL;
    call->rec->host_call = call->x[1];
    e->reason = RMI_EXIT_HOST_CALL;
    e->imm = le16_get(bytes + RSI_HOST_CALL_IMM);
    e->n_gprs = ARRAY_LEN(e->gprs);
    for (unsigned i = 0; i < e->n_gprs; i++) {
        e->gprs[i] = le64_get(bytes + RSI_HOST_CALL_GPRS + 8 * i);
    }
    return RSI_TO_HOST;
}
