// What a report shows, made of the data in the page. Text of the trace reaches the page as text alone (textContent).
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");
const PAGE_ROWS = 400;

// ---- small things ----

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) {
      node.addEventListener(key.slice(2), value);
    } else if (key === "style") {
      for (const [property, text] of Object.entries(value)) node.style.setProperty(property, text);
    } else if (value !== null) {
      node.setAttribute(key, value);
    }
  }
  node.append(...children);
  return node;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function section(id, title, note, ...children) {
  const node = el("section", { id }, el("h2", {}, title), el("p", { class: "note" }, note), ...children);
  page.append(node);
  nav.append(el("a", { href: "#" + id }, title));
  return node;
}

const number = (n) => n.toLocaleString("en-US");

// Guest time with the unit that suits it; at() has all digits.
function time(ns) {
  for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]]) {
    if (ns >= size) return (ns / size).toPrecision(4).replace(/\.?0+$/, "") + " " + unit;
  }
  return ns + " ns";
}
const at = (ns) => (ns / 1e6).toFixed(6) + " ms";

const fieldOf = (row, name) => {
  const i = row[4].findIndex((text, k) => k % 2 === 0 && text === name);
  return i < 0 ? null : row[4][i + 1];
};

const PALETTE = ["#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#e15759", "#76b7b2", "#9c755f", "#d4a72c", "#ff9da7", "#86703f", "#6b7fd7",
  "#2f8f83", "#a05195", "#7f8c8d"];
const STATE_COLOURS = {
  NEW: "#8da0b3", ACTIVE: "#3f9b5f", SYSTEM_OFF: "#7f8c8d", NEEDS_KEY: "#d4a72c", HAS_KEY: "#b98a1c", READY: "#3f9b5f", ERROR: "#c9433a",
  COMMUNICATING: "#5b8bd0", STOPPING: "#a0785a", STOPPED: "#7f8c8d", IDE_RESETTING: "#a0785a", UNLOCKED: "#8da0b3", LOCKED: "#d08a1e",
  STARTED: "#3f9b5f", CONFIG_UNLOCKED: "#8da0b3", CONFIG_LOCKED: "#d08a1e", RUN: "#3f9b5f", Secure: "#3f9b5f", Insecure: "#8da0b3",
};
const GRANULE_COLOURS = {
  DELEGATED: "#aeb8c4", RD: "#c9433a", REC: "#6a51a3", REC_AUX: "#a891e0", RTT: "#d4a72c", DATA: "#4e79a7", PDEV: "#2a9d5c",
  PDEV_AUX: "#8fd0aa", VDEV: "#0f7d86", VDEV_AUX: "#7cc4cc", DEV_DELEGATED: "#f0c08a", DEV_MAPPED: "#e0701e",
};
const colours = new Map([...Object.entries(STATE_COLOURS), ...Object.entries(GRANULE_COLOURS).map(([k, v]) => ["granule " + k, v])]);
function colour(name) {
  if (!colours.has(name)) colours.set(name, PALETTE[colours.size % PALETTE.length]);
  return colours.get(name);
}

function legend(names, key) {
  return el("div", { class: "legend" }, ...names.map((name) => el("span", {}, el("i", { style: { background: colour(key(name)) } }), name)));
}

const header = {};
for (let i = 0; i + 1 < data.header.length; i += 2) header[data.header[i]] = data.header[i + 1];

// ---- head ----

const nav = el("nav", { "aria-label": "Parts of this page" });
function fact(value, what) { return el("div", { class: "fact" }, el("b", {}, value), el("span", {}, what)); }

function head() {
  const calls = data.calls.reduce((sum, c) => sum + c[1], 0), exits = data.exits.reduce((sum, e) => sum + e[1], 0);
  page.append(el("header", {}, el("h1", {}, "What happened in " + data.title), nav,
    el("div", { class: "facts" }, fact(time(data.end), "guest time"), fact(header.cpus || "?", "CPUs"),
      fact(number(calls), "calls of RMI and RSI"), fact(number(exits), "exits of RECs"),
      fact(number(data.rows.filter((r) => r[1] === "message").length), "messages to devices"),
      fact(header.rmm || "?", "dialect of the RMM"), fact(header.boot === "host" ? "a kernel" : "built in", "host"))));
  if (data.cut) page.append(el("p", { class: "warning" }, "The file ends before the run did: it was killed."));
  if (data.left_out > 0) {
    page.append(el("p", { class: "warning" }, number(data.left_out) + " events were too many for a page and are left out."));
  }
}

// ---- sequence chart ----

function laneOf(row) {
  const [, kind, name, who] = row;
  if (kind === "state") {
    const what = fieldOf(row, "what");
    return what === "realm" ? name.split(":")[0] : what === "pdev" || what === "vdev" ? "RMM" : who || name.split(" ")[0];
  }
  if (kind === "message") return who || "device";
  if (kind === "rsi" || kind === "exit") return "Realm " + (who || "?");
  return kind === "line" && who === "smmu" ? "SMMU" : "Host";
}

function lanes() {
  const realms = new Set(), devices = new Set();
  let smmu = false;
  for (const row of data.rows) {
    const lane = laneOf(row);
    if (lane.startsWith("Realm ")) realms.add(lane);
    else if (lane === "SMMU") smmu = true;
    else if (lane !== "Host" && lane !== "RMM") devices.add(lane);
  }
  const order = (set) => [...set].sort((a, b) => a.localeCompare(b, "en", { numeric: true })).slice(0, 8);
  return [...order(realms), "RMM", "Host", ...order(devices), ...(smmu ? ["SMMU"] : [])];
}
const classOfLane = (lane) => lane.startsWith("Realm ") ? "realm" : lane === "RMM" ? "rmm" : lane === "Host" ? "host" :
  lane === "SMMU" ? "smmu" : "device";

const KINDS = [["rmi", "RMI"], ["rsi", "RSI"], ["exit", "exits"], ["message", "messages"], ["state", "states"], ["line", "notes"],
  ["fold", "routine"]];

function sequence() {
  const all = lanes(), wanted = new Set(KINDS.map((k) => k[0])), list = el("div", { class: "rows" });
  const more = el("button", { class: "more", onclick: () => { shown += PAGE_ROWS; fill(); } });
  let shown = PAGE_ROWS, words = "";

  const middle = (lane) => (Math.max(0, all.indexOf(lane)) + 0.5) / all.length * 100;

  function label(row, from, to) {
    const status = fieldOf(row, "status"), failure = fieldOf(row, "failure"), error = fieldOf(row, "error"), count = fieldOf(row, "count");
    const protocol = fieldOf(row, "protocol") || (row[1] === "message" ? "SPDM" : null);
    const bad = failure || (error ? error : row[1] === "rmi" && status && status !== "SUCCESS" && status !== "runs" ? status : null);
    const node = el("span", { class: "label", style: { left: (middle(from) + middle(to)) / 2 + "%" } });
    if (protocol) node.append(el("span", { class: "tag" }, protocol + " "));
    node.append((row[1] === "exit" ? "exit: " : "") + row[2] + (count ? " ×" + number(Number(count)) : ""));
    if (bad) node.append(" ", el("span", { class: "bad" }, bad));
    return node;
  }

  function arrow(row, from, to, reply) {
    const a = middle(from), b = middle(to);
    return [el("span", { class: "arrow " + (a < b ? "right" : "left") + (reply ? " reply " : " ") + classOfLane(from),
      style: { left: Math.min(a, b) + "%", width: Math.abs(a - b) + "%" } }), label(row, from, to)];
  }

  function drawing(row) {
    const lane = laneOf(row);
    switch (row[1]) {
      case "rmi": return arrow(row, "Host", "RMM", true);
      case "rsi": return arrow(row, lane, "RMM", true);
      case "exit": return arrow(row, lane, "Host", false);
      case "message": return arrow(row, "Host", lane, true);
      case "fold": {
        let total = 0, text = [];
        for (let i = 0; i + 1 < row[4].length; i += 2) {
          total += Number(row[4][i + 1]);
          text.push(row[4][i] + " ×" + number(Number(row[4][i + 1])));
        }
        return [el("span", { class: "pill" }, number(total) + " routine: " + text.slice(0, 4).join(", ") + (text.length > 4 ? " …" : ""))];
      }
      default: {
        const text = row[1] === "state" ? row[2].replace(/^Realm \d+: /, "") : row[2];
        const x = middle(lane), place = x > 78 ? { right: 0, transform: "none" } : x < 22 ? { left: 0, transform: "none" } : { left: x + "%" };
        const long = text.length > 14 || (x >= 22 && x <= 78);
        return [el("span", { class: "pill " + classOfLane(lane), style: long ? place : { left: x + "%" } }, text)];
      }
    }
  }

  function fields(row) {
    const node = el("dl", { class: "fields" }, el("dt", {}, row[1] === "fold" ? "from" : "time"), el("dd", { class: "mono" }, at(row[0])));
    if (row[1] === "line" || row[1] === "state") node.append(el("dt", {}, "text"), el("dd", {}, row[2]));
    for (let i = 0; i + 1 < row[4].length; i += 2) {
      node.append(el("dt", {}, row[4][i]), el("dd", { class: "mono" }, row[4][i + 1]));
    }
    return node;
  }

  function line(row) {
    const node = el("button", { class: "row " + row[1], "aria-expanded": "false", onclick: () => {
      const open = node.getAttribute("aria-expanded") === "true";
      node.setAttribute("aria-expanded", String(!open));
      if (open) node.nextElementSibling.remove();
      else node.after(fields(row));
    } }, el("span", { class: "time" }, at(row[0])), el("span", { class: "track" }, ...drawing(row)));
    return node;
  }

  function fill() {
    const fits = data.rows.filter((row) => wanted.has(row[1]) &&
      (words === "" || (row[2] + " " + row[3] + " " + row[4].join(" ")).toLowerCase().includes(words)));
    list.replaceChildren(...fits.slice(0, shown).map(line));
    more.textContent = "Show " + number(Math.min(PAGE_ROWS, fits.length - shown)) + " more of " + number(fits.length);
    more.hidden = fits.length <= shown;
  }

  const tools = el("div", { class: "tools" });
  for (const [kind, name] of KINDS) {
    const button = el("button", { "aria-pressed": "true", "data-kind": kind, onclick: () => {
      if (wanted.has(kind)) wanted.delete(kind); else wanted.add(kind);
      button.setAttribute("aria-pressed", String(wanted.has(kind)));
      fill();
    } }, name);
    tools.append(button);
  }
  tools.append(el("input", { type: "search", placeholder: "Search names and fields", "aria-label": "Search", oninput: (event) => {
    words = event.target.value.toLowerCase();
    shown = PAGE_ROWS;
    fill();
  } }));
  fill();
  section("sequence", "Sequence", "Who called whom, from top to bottom in guest time. Each arrow goes to whoever answers it. A click " +
    "shows the fields of a message. The host carries what RMM and device say to each other; a message in a session was sealed for it.",
  tools, el("div", { class: "chart" }, el("div", { class: "rails" }, ...all.map(() => el("div"))),
    el("div", { class: "lanes" }, ...all.map((lane) => el("div", { class: "lane " + classOfLane(lane), title: lane }, lane))), list), more);
}

// ---- state timelines ----

function timelines() {
  const order = ["realm", "pdev", "vdev", "tdi", "ide"];
  const tracks = data.tracks.map((t, i) => ({ name: t[0], kind: t[1], spans: data.spans.filter((s) => s[0] === i) }))
    .filter((t) => t.spans.length > 0).sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  if (tracks.length === 0) return;
  // Changes in their order, and the first time of each.
  const moments = [];
  for (const span of data.spans) {
    moments[span[4]] = span[2];
    if (moments[span[5]] === undefined) moments[span[5]] = span[3];
  }
  const first = Math.max(0, moments.findIndex((ns) => ns !== undefined)), last = Math.max(first + 1, moments.length - 1);
  const place = el("div"), detail = el("div", { class: "detail", "aria-live": "polite" }, "A click on a state tells its times."), LEFT = 190, WIDTH = 1160, ROW = 26;
  let byTime = false;

  function draw() {
    const scale = (part) => LEFT + (WIDTH - LEFT - 10) * part;
    const x = (ns, change) => scale(byTime ? ns / Math.max(1, data.end) : (change - first) / (last - first));
    const top = svg("svg", { viewBox: `0 0 ${WIDTH} ${tracks.length * ROW + 34}`, role: "img", "aria-label": "States over time" });
    for (let i = 0; i <= 6; i++) {
      const change = Math.round(first + (last - first) * i / 6), ns = byTime ? data.end * i / 6 : moments[change] ?? data.end;
      const tick = x(ns, change);
      top.append(svg("line", { class: "grid", x1: tick, x2: tick, y1: 0, y2: tracks.length * ROW }),
        svg("text", { class: "axis", x: tick, y: tracks.length * ROW + 18, "text-anchor": i === 6 ? "end" : "middle" }, time(ns)));
    }
    tracks.forEach((track, row) => {
      top.append(svg("text", { x: LEFT - 10, y: row * ROW + 17, "text-anchor": "end" }, track.name));
      for (const [, name, from, to, began, ended] of track.spans) {
        const left = x(from, began), wide = Math.max(2, x(to, ended) - left);
        const show = () => { detail.textContent = `${track.name}: ${name} from ${at(from)} to ${at(to)}, ${time(to - from)}`; };
        const rect = svg("rect", { class: "span", x: left, y: row * ROW + 3, width: wide, height: ROW - 6, rx: 3, fill: colour(name),
          tabindex: 0, onclick: show, onfocus: show }, svg("title", {}, `${name}, ${time(to - from)}`));
        top.append(rect);
        if (wide > name.length * 8 + 10) {
          top.append(svg("text", { class: "in", x: left + wide / 2, y: row * ROW + 17, "text-anchor": "middle" }, name));
        }
      }
    });
    place.replaceChildren(top);
  }

  const scale = (name, value) => el("button", { "aria-pressed": String(value === byTime), onclick: (event) => {
    byTime = value;
    for (const b of event.target.parentNode.children) b.setAttribute("aria-pressed", String(b === event.target));
    draw();
  } }, name);
  const tools = el("div", { class: "tools" }, scale("each change the same width", false), scale("guest time", true));
  draw();
  const names = [...new Set(tracks.flatMap((t) => t.spans.map((s) => s[1])))];
  section("states", "States", "How long Realms, PDEVs, VDEVs, device interfaces (TDI) and IDE streams were in each of their states.",
    tools, place, legend(names.slice(0, 60), (name) => name), detail);
}

// ---- granules ----

function granules() {
  const changes = data.granules;
  if (changes.length === 0) return;
  const isHosts = data.states.map((s) => s === "NS" || s === "DEV_NS");
  const CELLS = 128 * 40, ends = changes.map((c) => [c[1], c[1] + c[2]]);
  // Memory in a few islands: what lies between is left out of the map.
  const islands = [];
  for (const [a, b] of [...ends].sort((p, q) => p[0] - q[0])) {
    const last = islands[islands.length - 1];
    if (last && a <= last[1] + 4096) last[1] = Math.max(last[1], b);
    else islands.push([a, b]);
  }
  const total = islands.reduce((sum, i) => sum + i[1] - i[0], 0), per = Math.max(1, Math.ceil(total / CELLS));
  const cells = Math.ceil(total / per), bases = [];
  islands.reduce((sum, i) => { bases.push(sum); return sum + i[1] - i[0]; }, 0);
  function offset(granule) {
    let low = 0, high = islands.length - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if (islands[mid][0] <= granule) low = mid; else high = mid - 1;
    }
    return bases[low] + granule - islands[low][0];
  }

  // The counts after each change, for the chart; the moment at which the host has given most, for the map.
  const counts = data.states.map(() => 0), samples = [], stride = Math.max(1, Math.floor(changes.length / 600));
  let best = 0, most = -1;
  changes.forEach(([ns, , count, state, from], i) => {
    counts[from] -= count;
    counts[state] += count;
    const given = counts.reduce((sum, n, s) => sum + (isHosts[s] ? 0 : n), 0);
    if (given > most) { most = given; best = i; }
    if (i % stride === 0 || i === changes.length - 1) samples.push([ns, [...counts]]);
  });

  // Where a cell's memory begins.
  const hex = (granule) => "0x" + (BigInt(granule) * 4096n).toString(16);
  function address(cell) {
    const i = bases.findLastIndex((base) => base <= cell * per);
    return hex(islands[i][0] + cell * per - bases[i]);
  }
  const place = el("div", { class: "detail", "aria-live": "polite" });
  const canvas = el("canvas", { width: 128, height: Math.ceil(cells / 128), "aria-label": "Map of granules by state", role: "img",
    onclick: (event) => {
      const cell = Math.floor(event.offsetY / canvas.clientHeight * canvas.height) * 128 +
        Math.floor(event.offsetX / canvas.clientWidth * 128);
      if (cell < cells) place.textContent = `${address(cell)}: ${shown[cell] < 0 ? "the host's" : data.states[shown[cell]]}`;
    } });
  let shown = [];
  const when = el("span", { class: "mono" }), names = data.states.map((s, i) => i).filter((i) => !isHosts[i]);
  function paint(upTo) {
    const map = new Int8Array(cells).fill(-1), context = canvas.getContext("2d");
    for (let i = 0; i <= upTo; i++) {
      const [, first, count, state] = changes[i], a = offset(first);
      for (let c = Math.floor(a / per), end = Math.ceil((a + count) / per); c < end && c < cells; c++) map[c] = isHosts[state] ? -1 : state;
    }
    context.clearRect(0, 0, canvas.width, canvas.height);
    map.forEach((state, c) => {
      if (state < 0) return;
      context.fillStyle = colour("granule " + data.states[state]);
      context.fillRect(c % 128, Math.floor(c / 128), 1, 1);
    });
    shown = map;
    when.textContent = at(changes[upTo][0]);
    place.textContent = `The map is of ${hex(islands[0][0])} to ${hex(islands[islands.length - 1][1])}, at ${when.textContent}. ` +
      "A click on it tells where that is.";
    marker.setAttribute("x1", x(changes[upTo][0]));
    marker.setAttribute("x2", x(changes[upTo][0]));
  }

  const WIDTH = 1160, HEIGHT = 150, top = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + 24}`, role: "img",
    "aria-label": "Granules by state over time" });
  const x = (ns) => 60 + (WIDTH - 70) * ns / Math.max(1, data.end), y = (n) => HEIGHT - (HEIGHT - 10) * n / Math.max(1, most);
  const stack = samples.map(([ns, c]) => { let sum = 0; return [ns, names.map((s) => [sum, sum += c[s]])]; });
  names.forEach((state, k) => {
    const up = [], down = [];
    let previous = null;
    for (const [ns, parts] of stack) { // steps: nothing changes in between
      if (previous) { up.push([x(ns), y(previous[k][1])]); down.push([x(ns), y(previous[k][0])]); }
      up.push([x(ns), y(parts[k][1])]);
      down.push([x(ns), y(parts[k][0])]);
      previous = parts;
    }
    up.push([x(data.end), y(previous[k][1])]);
    down.push([x(data.end), y(previous[k][0])]);
    top.append(svg("path", { d: "M" + [...up, ...down.reverse()].map((p) => p.map((v) => v.toFixed(1)).join(" ")).join("L") + "Z",
      fill: colour("granule " + data.states[state]) }, svg("title", {}, data.states[state])));
  });
  for (let i = 0; i <= 6; i++) {
    top.append(svg("text", { class: "axis", x: x(data.end * i / 6), y: HEIGHT + 18, "text-anchor": i === 6 ? "end" : "middle" },
      time(data.end * i / 6)));
  }
  top.append(svg("text", { class: "axis", x: 54, y: 14, "text-anchor": "end" }, number(most)));
  const marker = svg("line", { y1: 0, y2: HEIGHT, stroke: "currentColor", "stroke-dasharray": "3 3" });
  top.append(marker);
  const slider = el("input", { type: "range", min: 0, max: changes.length - 1, value: best, "aria-label": "Moment of the map",
    oninput: () => paint(Number(slider.value)) });
  paint(best);
  section("granules", "Granules", "Memory that the host has given away, by what it is now. The map has a cell for " +
    (per === 1 ? "each granule" : number(per) + " granules") + " of 4 KiB, by address, at the moment that is chosen; the chart has all " +
    "moments. Empty cells are the host's.", top, el("div", { class: "tools" }, slider, when), canvas,
  legend(names.map((s) => data.states[s]), (name) => "granule " + name), place);
}

// ---- counts ----

function table(what, rows, byTime) {
  const most = Math.max(1, ...rows.map((r) => byTime ? r[2] : r[1]));
  return el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, what), el("th", { class: "n" }, "times"),
    byTime ? el("th", { class: "n" }, "guest time") : "", el("th"))),
  el("tbody", {}, ...rows.map((r) => el("tr", {}, el("td", {}, r[0]), el("td", { class: "n" }, number(r[1])),
    byTime ? el("td", { class: "n" }, time(r[2])) : "",
    el("td", { class: "bar" }, el("div", { style: { width: (byTime ? r[2] : r[1]) / most * 100 + "%" } }))))));
}

function counts() {
  const by = (k) => (a, b) => b[k] - a[k] || (a[0] < b[0] ? -1 : 1);
  if (data.times.length > 0 || data.levels.length > 0) {
    const worlds = data.times.filter((t) => t[0].startsWith("CPU ")).map((t) => [t[0].replace(/ (nonsecure|realm):/, ":"), t[1], t[2]]);
    const recs = data.times.filter((t) => !t[0].startsWith("CPU "));
    section("time", "Where time went", "Guest time by CPU, from the first entry of a REC on, and by REC. What the built-in host does takes " +
      "none; time that a CPU waits is counted for whoever it waits in.", el("div", { class: "columns" },
      ...[["CPU", worlds], ["REC", recs], ["exception level", data.levels]].filter((t) => t[1].length > 0)
        .map(([what, rows]) => table(what, rows.sort(by(2)), true))),
    ...(data.levels.length > 0 ? [el("p", { class: "note" }, "Exception levels: stays as long as the trace has them (el=).")] : []),
    ...(data.places.length > 0 ? [table("functions that Realms left", data.places.sort(by(1)).slice(0, 40), true)] : []));
  }
  if (data.exits.length > 0) {
    section("exits", "Exits by reason", "Why RECs went back to the host, and how long they had run before.",
      table("reason", data.exits.sort(by(1)), true));
  }
  if (data.calls.length > 0) {
    section("calls", "Calls", "RMI commands of the host, RSI commands of Realms.", el("div", { class: "columns" },
      ...["RMI_", "RSI_"].map((head) => data.calls.filter((c) => c[0].startsWith(head)).sort(by(1))).filter((l) => l.length > 0)
        .map((l) => table(l[0][0].slice(0, 3), l, false))));
  }
}

head();
sequence();
timelines();
granules();
counts();
