/*
 * The Realm Host Interface: what a Realm asks of its host by RSI_HOST_CALL. Arm DEN0148; function numbers as kernels
 * use them. Arguments come from a Realm that may be hostile.
 */
#include "host/host_int.h"
#include "log.h"

#define RHI_HOSTCONF_VERSION_1_0 0x10000

void host_call(Host *h, HostCpu *hc, uint16_t imm, uint64_t gprs[31])
{
    uint64_t fid = gprs[0];

    if (imm == 0 && (fid & ~0xffull) == RHI_FID(0)) {
        h->rhi_counts[fid & 0xff]++;
    }
    LOG(RHI, "call imm 0x%x function 0x%llx", imm, (unsigned long long)fid);
    switch (imm == 0 ? fid : 0) {
    case RHI_FID(RHI_FID_HOSTCONF_VERSION): gprs[0] = RHI_HOSTCONF_VERSION_1_0; break;
    case RHI_FID(RHI_FID_HOSTCONF_FEATURES): gprs[0] = 1; break;
    case RHI_FID(RHI_FID_HOSTCONF_GET_IPA_CHANGE_ALIGNMENT): gprs[0] = PAGE_SIZE; break;
    default: gprs[0] = SMC_UNKNOWN; break;
    }
}
