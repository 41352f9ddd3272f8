# Tables from the samples of tests/bench/run: one line each, PLATFORM CLASS NAME NANOSECONDS. Medians, ratios, geometric
# means and the bars of the engine. Platforms: native; qemu-max, qemu-n1 (the faster counts, row by row); bailey.
# Classes: those of the programs; boot and start, whose rows are whole runs; rmm, calls of the firmware model;
# device, host CPU time for a device's evidence; net, a GiB over TCP; card, MTU and offloads of what a guest had for its
# rows of net. -v only=NAME: not all programs were run.

function median(key,    n, v, i, j, t) {
  n = split(samples[key], v, " ")
  for (i = 2; i <= n; i++) {
    t = v[i] + 0
    for (j = i - 1; j > 0 && v[j] + 0 > t; j--) v[j + 1] = v[j]
    v[j + 1] = t
  }
  return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

function is_run(class) { return class == "boot" || class == "start" }
function is_program(class) { return !is_run(class) && class != "rmm" && class != "net" && class != "device" }
function has(platform, row) { return (platform, row) in samples }

# The faster QEMU for a row, in ns; 0 without one. Its short name goes to `which_cpu`.
function qemu(row,    max, n1) {
  max = has("qemu-max", row) ? median("qemu-max" SUBSEP row) : 0
  n1 = has("qemu-n1", row) ? median("qemu-n1" SUBSEP row) : 0
  which_cpu = max == 0 && n1 == 0 ? "" : n1 == 0 || (max != 0 && max <= n1) ? "max" : "n1"
  return which_cpu == "max" ? max : n1
}

function ratio_text(a, b) { return a > 0 && b > 0 ? sprintf("%.2f", a / b) : "-" }
function ms_text(ns) { return ns > 0 ? sprintf("%.1f", ns / 1e6) : "-" }

# Geometric means: add a ratio to a named one; ask for it.
function add(mean, a, b) {
  if (a > 0 && b > 0) {
    logs[mean] += log(a / b)
    counts[mean]++
  }
}
function geo(mean) { return counts[mean] > 0 ? exp(logs[mean] / counts[mean]) : 0 }
function geo_text(mean) { return counts[mean] > 0 ? sprintf("%.2f", geo(mean)) : "-" }

function bar(what, value, limit, unit) {
  if (value > 0) {
    if (!bars_begun++) print "| what | measured | at most | |\n|---|--:|--:|---|"
    printf "| %s | %.3g%s | %s%s | %s |\n", what, value, unit, limit, unit, value <= limit ? "met" : "missed"
  }
}

$2 == "card" {
  cards[$1, $3] = $4
  next
}

{
  row = $2 SUBSEP $3
  samples[$1, row] = samples[$1, row] " " $4
  if (!(row in seen)) {
    seen[row] = 1
    rows[++n_rows] = row
    n_runs += is_run($2)
    n_rmm += $2 == "rmm"
    n_net += $2 == "net"
    n_device += $2 == "device"
    if (is_program($2) && !($2 in class_seen)) {
      class_seen[$2] = 1
      classes[++n_classes] = $2
    }
  }
}

function print_runs(    i, part, ns) {
  print "| run | Bailey, ms | QEMU, ms | QEMU's CPU | Bailey / QEMU |"
  print "|---|--:|--:|---|--:|"
  for (i = 1; i <= n_rows; i++) {
    split(rows[i], part, SUBSEP)
    if (!is_run(part[1])) continue
    ns = has("bailey", rows[i]) ? median("bailey" SUBSEP rows[i]) : 0
    took[part[2]] = ns
    # Every boot is compared with the only boot that QEMU has: that of the plain kernel.
    peer = part[1] == "boot" ? qemu("boot" SUBSEP "boot-host") : qemu(rows[i])
    peers[part[2]] = peer
    printf "| %s | %s | %s | %s | %s |\n", part[2], ms_text(ns), ms_text(peer), which_cpu, ratio_text(ns, peer)
  }
  print ""
}

function print_rmm(    i, part) {
  print "| firmware model | ns |\n|---|--:|"
  for (i = 1; i <= n_rows; i++) {
    split(rows[i], part, SUBSEP)
    if (part[1] == "rmm") printf "| %s | %.0f |\n", part[2], rmm[part[2]] = median("bailey" SUBSEP rows[i])
  }
  print ""
}

function print_device(    i, part) {
  print "| a device, host CPU time | ms |\n|---|--:|"
  for (i = 1; i <= n_rows; i++) {
    split(rows[i], part, SUBSEP)
    if (part[1] == "device") printf "| %s | %s |\n", part[2], ms_text(device[part[2]] = median("bailey" SUBSEP rows[i]))
  }
  print ""
}

function gbits(ns) { return ns > 0 ? 1024 * 1024 * 1024 * 8 / ns : 0 }

# What the guest of a row had: "1500, csum, ..."
function card_text(platform, row,    text) {
  sub(/-(send|receive)$/, "", row)
  text = (platform, row) in cards ? cards[platform, row] : "-"
  gsub(/[:+]/, ", ", text)
  return text
}

# A Realm's rows have QEMU's plain guest beside them.
function print_net(    i, part, plain, peer) {
  print "| TCP | Bailey, Gbit/s | QEMU, Gbit/s | QEMU's time / ours | Bailey's MTU, offloads | QEMU's |"
  print "|---|--:|--:|--:|---|---|"
  for (i = 1; i <= n_rows; i++) {
    split(rows[i], part, SUBSEP)
    if (part[1] != "net" || !has("bailey", rows[i])) continue
    plain = part[2]
    sub(/^realm-/, "", plain)
    peer = gbits(qemu("net" SUBSEP plain))
    net[part[2]] = gbits(median("bailey" SUBSEP rows[i]))
    printf "| %s | %.2f | %s | %s | %s | %s |\n", part[2], net[part[2]], (peer > 0 ? sprintf("%.2f", peer) : "-"), \
      ratio_text(net[part[2]], peer), card_text("bailey", part[2]), card_text("qemu-max", plain)
  }
  print ""
}

function print_programs(    i, part, ns, peer, native) {
  print "| class | program | native, ms | QEMU, ms | QEMU's CPU | Bailey, ms | Bailey / QEMU | Bailey / native | QEMU / native |"
  print "|---|---|--:|--:|---|--:|--:|--:|--:|"
  for (i = 1; i <= n_rows; i++) {
    split(rows[i], part, SUBSEP)
    if (!is_program(part[1])) continue
    ns = has("bailey", rows[i]) ? median("bailey" SUBSEP rows[i]) : 0
    native = has("native", rows[i]) ? median("native" SUBSEP rows[i]) : 0
    peer = qemu(rows[i])
    printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", part[1], part[2], ms_text(native), ms_text(peer), \
      which_cpu, ms_text(ns), ratio_text(ns, peer), ratio_text(ns, native), ratio_text(peer, native)
    add("all", ns, peer)
    add(part[1], ns, peer)
    add("native all", ns, native)
    add("native " part[1], ns, native)
    add("peer all", peer, native)
    add("peer " part[1], peer, native)
    if (peer > 0 && ns / peer > worst) {
      worst = ns / peer
      worst_name = part[2]
    }
  }
  print "\nGeometric means:\n"
  print "| class | programs | Bailey / QEMU | Bailey / native | QEMU / native |"
  print "|---|--:|--:|--:|--:|"
  classes[n_classes + 1] = "all"
  for (i = 1; i <= n_classes + 1; i++) {
    printf "| %s | %d | %s | %s | %s |\n", classes[i], counts["native " classes[i]], geo_text(classes[i]), \
      geo_text("native " classes[i]), geo_text("peer " classes[i])
  }
  print ""
}

function print_bars() {
  if (peers["boot-host"] > 0) {
    bar("boot to init, Normal world, Bailey / QEMU", took["boot-host"] / peers["boot-host"], 0.5)
    bar("boot to init in a Realm, Bailey / QEMU's plain boot", took["boot-realm"] / peers["boot-host"], 0.6)
  }
  if (only == "all") bar("all programs, geometric mean, Bailey / QEMU", geo("all"), 0.25)
  bar("the worst program (" worst_name "), Bailey / QEMU", worst, 1)
  bar("scalar FP programs, geometric mean, Bailey / QEMU", geo("fp"), 0.12)
  bar("NEON programs, geometric mean, Bailey / QEMU", geo("neon"), 0.12)
  bar("integer programs, geometric mean, Bailey / native", geo("native integer"), 2.2)
  bar("start to first instruction, boot=host, empty program", took["start-host"] / 1e6, 20, " ms")
  bar("start to the kernel's first instruction in a Realm", took["start-realm"] / 1e6, 250, " ms")
  bar("RMI_GRANULE_DELEGATE", rmm["delegate"], 300, " ns")
  bar("REC entry and exit", rmm["rec-enter"] / 1e3, 1, " us")
  bar("Realm of 1 GiB, created, populated and destroyed", rmm["realm-1g"] / 1e9, 2, " s")
  bar("secure session and evidence of a device, host time", device["evidence"] / 1e6, 60, " ms")
  if (took["boot-host"] > 0) {
    bar("boot with -clock virtual / with -clock host", took["boot-host-virtual"] / took["boot-host"], 1.05)
    bar("boot with -smp 4 / with -smp 1", took["boot-host-smp4"] / took["boot-host"], 1.3)
  }
  if (n_net > 0) {
    bar("a Gbit over TCP from a Realm, user networking", 1 / net["realm-user-send"], 1, " s")
    bar("a Gbit over TCP from a Realm, over a socket to another guest", 1 / net["realm-stream-send"], 0.333, " s")
  }
}

END {
  if (n_rmm > 0) print_rmm()
  if (n_device > 0) print_device()
  if (n_net > 0) print_net()
  if (n_runs > 0) print_runs()
  if (n_classes > 0) print_programs()
  print_bars()
}
