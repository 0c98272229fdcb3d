"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const PAGE = 50, PRINTED = 1000, MOST_SHAPES = 400, MOST_NAMED = 40, NEAR = 14;
  const MARGIN = { left: 64, right: 16, top: 12, bottom: 46 };
  const VIRIDIS = ["#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725"];
  const SHAPES = [[24, 0, 1], [4, 0.125, 1.25], [3, 0.25, 1.4], [4, 0, 1.25], [5, 0.25, 1.15]];

  // Text is only ever put in as text: nothing that comes from a file is read as markup.
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const drawn = (name, attributes, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  const known = (value) => typeof value === "number" && Number.isFinite(value);
  const digits = (value, count) => (known(value) ? String(Number(value.toPrecision(count))) : "–");
  const percent = (value, places = 1) => (known(value) ? (100 * value).toFixed(places) + " %" : "–");
  const whole = (value) => (known(value) ? value.toLocaleString("en-US").replaceAll(",", "\u2009") : "–");

  const fronts = data.fronts;
  const points = fronts.flatMap((front, number) => {
    const members = new Set(front.front);
    return front.points.map((point, place) => ({ ...point, front: number, place, member: members.has(point.name), accuracy: 1 - point.error }));
  });
  // What the fronts are about: error upwards as accuracy, or the first objective, the next one to the right.
  const MEASURES = {
    "error": { title: "accuracy (%)", of: (p) => 100 * p.accuracy, more: true, reference: (value) => digits(100 * value, 4) + " % error" },
    "latency-ms": { title: "latency (ms)", of: (p) => p.latency_ms, reference: (value) => digits(value, 4) + " ms" },
    "utilization": { title: "utilization (%)", of: (p) => 100 * p.utilization, more: true, reference: (value) => digits(100 * value, 4) + " % utilization" },
    "energy-uj": { title: "energy (uJ)", of: (p) => p.energy_uj, reference: (value) => digits(value, 4) + " uJ" },
    "macs": { title: "MACs", of: (p) => p.macs, reference: (value) => digits(value, 4) + " MACs" },
    "params": { title: "parameters", of: (p) => p.params, reference: (value) => digits(value, 4) + " params" },
    "weight-kib": { title: "weights (KiB)", of: (p) => p.weight_kib, reference: (value) => digits(value, 4) + " KiB" },
  };
  const OBJECTIVES = fronts[0]?.objectives ?? ["error", "latency-ms"];
  const Y = MEASURES[OBJECTIVES.includes("error") ? "error" : OBJECTIVES[0]], X = OBJECTIVES.map((name) => MEASURES[name]).find((measure) => measure !== Y);
  const spot = (point) => [X.of(point), Y.of(point)], isDrawn = (point) => spot(point).every(known);
  const along = (a, b) => (X.more ? X.of(b) - X.of(a) : X.of(a) - X.of(b));
  const details = new Map(data.details.map((one) => [one.accelerator + "\n" + one.key, one]));
  // Of a table: a pair of a network's place and its layers' places, in lists that hold each part of YAML and each layer once.
  const unpacked = (point) => {
    const shown = data.networks?.points[point.front]?.[point.place];
    if (!shown) return undefined;
    const { parts, texts, layers } = data.networks;
    return { facts: [], problems: [], pictures: [], layers: shown[1].map((at) => layers[at]), network: texts[shown[0]].map((at) => parts[at]).join("") };
  };
  const detailsOf = (point) => details.get(point.accelerator + "\n" + (point.run ?? point.name)) ?? unpacked(point);
  const stem = (point) => (known(point.seed) && point.name.endsWith("-s" + point.seed) ? point.name.slice(0, -("-s" + point.seed).length) : point.name);

  const SERIES = {
    accelerator: (point) => point.accelerator,
    method: (point) => point.method ?? "no method",
    seed: (point) => (known(point.seed) ? "seed " + point.seed : "no seed"),
  };
  const distinct = (of) => [...new Set(points.map(of))];

  const state = { accelerator: "", series: "accelerator", filter: "", members: false, sort: "latency_ms", down: false, page: 0, size: PAGE, at: null, open: null };
  let shown = [];

  const COLUMNS = [
    { key: "member", title: "front", of: (p) => (p.member ? 0 : 1), text: (p) => (p.member ? "★" : "") },
    { key: "name", title: "name", word: true, of: (p) => p.name },
    { key: "accelerator", title: "accelerator", word: true, of: (p) => p.accelerator, wanted: () => fronts.length > 1 },
    { key: "method", title: "method", word: true, of: (p) => p.method ?? "", wanted: () => points.some((p) => p.method) },
    { key: "accuracy", title: "accuracy", of: (p) => p.accuracy, text: (p) => percent(p.accuracy, 2) },
    { key: "latency_ms", title: "latency (ms)", of: (p) => p.latency_ms, text: (p) => digits(p.latency_ms, 5) },
    { key: "utilization", title: "utilization", of: (p) => p.utilization, text: (p) => percent(p.utilization) },
    { key: "energy_uj", title: "energy (uJ)", of: (p) => p.energy_uj, text: (p) => digits(p.energy_uj, 5), wanted: () => points.some((p) => known(p.energy_uj)) },
    { key: "params", title: "params", of: (p) => p.params, text: (p) => whole(p.params), wanted: () => points.some((p) => known(p.params)) },
    { key: "weight_kib", title: "weights (KiB)", of: (p) => p.weight_kib, text: (p) => digits(p.weight_kib, 5), wanted: () => OBJECTIVES.includes("weight-kib") },
    { key: "macs", title: "MACs", of: (p) => p.macs, text: (p) => whole(p.macs), wanted: () => points.some((p) => known(p.macs)) },
    { key: "seed", title: "seed", of: (p) => p.seed, text: (p) => (known(p.seed) ? String(p.seed) : ""), wanted: () => points.some((p) => known(p.seed)) },
  ].filter((column) => !column.wanted || column.wanted());

  const order = (a, b) => {
    const column = COLUMNS.find((one) => one.key === state.sort);
    const [x, y] = [column.of(a), column.of(b)];
    const missing = (value) => value === null || value === undefined || value === "";
    // What is not known stands last, whichever way.
    if (missing(x) || missing(y)) return missing(x) - missing(y) || a.front - b.front || a.place - b.place;
    const way = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
    return (state.down ? -way : way) || a.front - b.front || a.place - b.place;
  };

  const select = () => {
    const words = state.filter.toLowerCase();
    shown = points.filter((p) => (!state.accelerator || p.accelerator === state.accelerator) && (!state.members || p.member) && (!words || p.name.toLowerCase().includes(words)));
    shown.sort(order);
    state.page = Math.min(state.page, Math.max(0, Math.ceil(shown.length / state.size) - 1));
  };

  // Axes

  const roundStep = (step) => {
    const power = 10 ** Math.floor(Math.log10(step));
    return [1, 2, 5, 10].map((m) => m * power).find((s) => s >= step * 0.999) ?? step;
  };
  const axis = (values, log, limit) => {
    let low = Infinity, high = -Infinity;
    for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
    if (!(low <= high)) [low, high] = [0, 1];
    if (log && low > 0 && high > 10 * low) {
      const margin = (high / low) ** 0.05;
      low /= margin; high *= margin;
      const decades = Math.log10(high / low);
      const mantissas = decades > 4 ? [1] : decades > 2 ? [1, 3] : [1, 2, 5];
      const ticks = [];
      for (let d = Math.floor(Math.log10(low)); d <= Math.log10(high); d++) for (const m of mantissas) ticks.push(m * 10 ** d);
      return { at: (v) => Math.log(v / low) / Math.log(high / low), ticks: ticks.filter((t) => t >= low && t <= high).map((t) => [t, digits(t, 3)]) };
    }
    const margin = high > low ? 0.06 * (high - low) : 0.1 * Math.abs(high) || 1;
    low -= margin; high += margin;
    const step = roundStep((high - low) / 7);
    const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const ticks = [];
    for (let n = Math.ceil(low / step); n * step <= Math.min(high, limit); n++) ticks.push([n * step, (n * step).toFixed(Math.min(places, 12))]);
    return { at: (v) => (v - low) / (high - low), ticks };
  };

  // Plot

  const plot = byId("plot"), canvas = plot.querySelector("canvas"), svg = plot.querySelector("svg"), tip = byId("tip");
  const accelerated = () => points.filter((p) => (!state.accelerator || p.accelerator === state.accelerator) && isDrawn(p));
  const utilizations = points.map((p) => p.utilization).filter(known);
  const lowest = utilizations.reduce((a, b) => Math.min(a, b), Infinity), highest = utilizations.reduce((a, b) => Math.max(a, b), -Infinity);
  const range = utilizations.length ? (([low, high]) => [low, Math.max(high, low + 0.2)])([Math.min(0.8, Math.floor(10 * lowest) / 10), Math.ceil(10 * highest) / 10]) : null;
  const mix = (value) => {
    const place = Math.max(0, Math.min(1, value)) * 10, below = Math.min(9, Math.floor(place)), part = place - below;
    const channel = (colour, i) => parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
    return "rgb(" + [0, 1, 2].map((i) => Math.round(channel(VIRIDIS[below], i) + part * (channel(VIRIDIS[below + 1], i) - channel(VIRIDIS[below], i)))).join(",") + ")";
  };
  const fill = (point) => (known(point.utilization) && range ? mix((point.utilization - range[0]) / (range[1] - range[0])) : "#999");
  const corners = (shape, [x, y], radius) => {
    const [count, turn, size] = SHAPES[shape % SHAPES.length];
    return Array.from({ length: count }, (_, i) => [x + size * radius * Math.cos(2 * Math.PI * (i / count + turn)), y - size * radius * Math.sin(2 * Math.PI * (i / count + turn))]);
  };
  const path = (list, closed) => "M" + list.map(([x, y]) => x.toFixed(1) + " " + y.toFixed(1)).join("L") + (closed ? "Z" : "");

  let view = null;

  const place = () => {
    const { clientWidth: width, clientHeight: height } = plot;
    const within = accelerated();
    const limit = (measure) => (measure.more ? 100 + 1e-9 : Infinity);
    const x = axis(within.map(X.of), true, limit(X)), y = axis(within.map(Y.of), false, limit(Y));
    const [w, h] = [width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom];
    const at = ([across, up]) => [MARGIN.left + w * x.at(across), MARGIN.top + h * (1 - y.at(up))];
    const names = distinct(SERIES[state.series]);
    const series = new Map(names.map((name, i) => [name, i]));
    return { width, height, x, y, w, h, at, names, series, of: (p) => series.get(SERIES[state.series](p)) };
  };

  const frame = () => {
    const { x, y, w, h } = view, [left, top] = [MARGIN.left, MARGIN.top], bottom = top + h;
    const parts = [];
    let last = -Infinity;
    for (const [value, text] of x.ticks) {
      const at = left + w * x.at(value);
      parts.push(drawn("line", { class: "grid", x1: at, x2: at, y1: top, y2: bottom }));
      if (at - last < 8 + 7 * text.length) continue;
      last = at;
      parts.push(drawn("text", { x: at, y: bottom + 17, "text-anchor": "middle" }, text));
    }
    for (const [value, text] of y.ticks) {
      const at = top + h * (1 - y.at(value));
      parts.push(drawn("line", { class: "grid", x1: left, x2: left + w, y1: at, y2: at }), drawn("text", { x: left - 7, y: at + 4, "text-anchor": "end" }, text));
    }
    parts.push(drawn("rect", { class: "frame", x: left, y: top, width: w, height: h }));
    parts.push(drawn("text", { x: left + w / 2, y: bottom + 38, "text-anchor": "middle" }, X.title));
    parts.push(drawn("text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(15 ${top + h / 2}) rotate(-90)` }, Y.title));
    return parts;
  };

  const steps = () => (OBJECTIVES.length > 2 ? [] : fronts).flatMap((front, number) => {
    if (state.accelerator && front.accelerator !== state.accelerator) return [];
    const members = points.filter((p) => p.front === number && p.member).sort(along);
    if (!members.length) return [];
    let height = Y.more ? MARGIN.top + view.h : MARGIN.top;
    const line = [];
    for (const point of members) { const [x, y] = view.at(spot(point)); line.push([x, height], [x, y]); height = y; }
    line.push([MARGIN.left + (X.more ? 0 : view.w), height]);
    const colour = state.series === "accelerator" ? view.of(members[0]) % 7 : 6;
    return [[colour, path(line)]];
  });

  // Mean and sample standard deviation over the seeds of a job.
  const spreads = () => {
    const groups = new Map();
    for (const point of shown) {
      if (!known(point.seed) || stem(point) === point.name) continue;
      const key = point.accelerator + "\n" + stem(point);
      groups.set(key, [...(groups.get(key) ?? []), point]);
    }
    const moments = (values) => {
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      return [mean, Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1))];
    };
    return [...groups.values()].filter((group) => group.length > 1).map((group) => {
      const [[across, dx], [up, dy]] = [moments(group.map(X.of)), moments(group.map(Y.of))];
      const ends = [view.at([Math.max(across - dx, Number.MIN_VALUE), up]), view.at([across + dx, up]), view.at([across, up - dy]), view.at([across, up + dy])];
      const inside = ([x, y]) => [Math.max(MARGIN.left, Math.min(MARGIN.left + view.w, x)), Math.max(MARGIN.top, Math.min(MARGIN.top + view.h, y))];
      const [a, b, c, d] = ends.map(inside);
      return drawn("path", { class: "error c" + (state.series === "seed" ? 6 : view.of(group[0]) % 7), d: path([a, b]) + path([c, d]) });
    });
  };

  const paint = () => {
    const ratio = window.devicePixelRatio || 1, ink = getComputedStyle(document.documentElement);
    canvas.width = Math.round(view.width * ratio);
    canvas.height = Math.round(view.height * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const dots = shown.length > MOST_SHAPES;
    const edges = Array.from({ length: 7 }, (_, i) => ink.getPropertyValue("--s" + i).trim());
    pen.lineWidth = 1.6;
    for (const [colour, line] of steps()) { pen.strokeStyle = edges[colour]; pen.stroke(new Path2D(line)); }
    for (const member of [false, true]) {
      for (const point of shown) {
        if (point.member !== member || !isDrawn(point)) continue;
        const at = view.at(spot(point)), number = view.of(point);
        pen.fillStyle = fill(point);
        if (dots && !member) { pen.beginPath(); pen.arc(at[0], at[1], 1.8, 0, 2 * Math.PI); pen.fill(); continue; }
        const list = corners(number, at, member ? (dots ? 4 : 5.5) : 3.8);
        pen.beginPath();
        list.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
        pen.closePath();
        pen.fill();
        pen.strokeStyle = edges[number % 7];
        pen.lineWidth = member ? 1.8 : 1;
        pen.stroke();
      }
    }
  };

  // Names of the front where there is room, those first that are fastest.
  const names = () => {
    const taken = [], parts = [];
    if (shown.length > MOST_SHAPES) return parts;
    const members = shown.filter((p) => p.member).sort(along);
    for (const point of members.slice(0, MOST_NAMED)) {
      const [x, y] = view.at(spot(point));
      const text = point.name.length > 26 ? point.name.slice(0, 13) + "…" + point.name.slice(-12) : point.name;
      const width = 6.6 * text.length, right = x + 9 + width < MARGIN.left + view.w;
      const box = right ? [x + 8, y - 17, x + 9 + width, y - 3] : [x - 9 - width, y - 17, x - 8, y - 3];
      if (box[1] < MARGIN.top || box[0] < MARGIN.left || taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
      taken.push(box);
      parts.push(drawn("text", { class: "name", x: right ? box[0] : box[2], y: y - 6, "text-anchor": right ? "start" : "end" }, text));
    }
    return parts;
  };

  const draw = () => {
    if (!points.length) return;
    view = place();
    svg.setAttribute("viewBox", `0 0 ${view.width} ${view.height}`);
    svg.replaceChildren(...frame(), ...spreads(), ...names(), drawn("circle", { class: "ring", r: 9, cx: -50, cy: -50 }));
    paint();
    legend();
    ring();
  };

  const legend = () => {
    const parts = view.names.map((name, i) => element("span", {}, drawn("svg", { viewBox: "0 0 22 14" }, drawn("path", { class: "c" + (i % 7), d: path(corners(i, [11, 7], 5), true), fill: "none", "stroke-width": 2 })), " " + name));
    if (range) {
      const bar = element("canvas", { width: 110, height: 11 }), pen = bar.getContext("2d");
      for (let x = 0; x < 110; x++) { pen.fillStyle = mix(x / 109); pen.fillRect(x, 0, 1, 11); }
      parts.push(element("span", {}, `utilization ${(100 * range[0]).toFixed(0)} % `, bar, ` ${(100 * range[1]).toFixed(0)} %`));
    }
    if (svg.querySelector(".error")) parts.push(element("span", {}, "crosses: mean and standard deviation over the seeds of a job"));
    byId("legend").replaceChildren(...parts);
  };

  // Hover, keys and details

  const bar = (part) => {
    const full = element("span", { className: "part" });
    full.style.width = 100 * Math.max(0, Math.min(1, part)) + "%";
    return element("span", { className: "bar" }, full);
  };

  const layers = (one, most) => {
    const all = (one?.layers ?? []).filter((layer) => known(layer.utilization));
    const kept = [...all].sort((a, b) => b.cycles - a.cycles).slice(0, most);
    if (!kept.length) return [];
    const total = one.layers.reduce((sum, layer) => sum + layer.cycles, 0) || 1;
    const rows = kept.flatMap((layer) => [element("span", { textContent: layer.name, title: layer.name + ", " + percent(layer.cycles / total) + " of the cycles" }), bar(layer.utilization), element("span", { textContent: percent(layer.utilization) })]);
    const which = all.length > kept.length ? `the ${kept.length} longest of ${all.length} layers on the array` : "layers on the array";
    return [element("div", { className: "faint", textContent: "utilization of " + which }), element("div", { className: "layers" }, ...rows)];
  };

  const facts = (point) => [
    element("b", { textContent: (point.member ? "★ " : "") + point.name }),
    element("div", { textContent: `${percent(point.accuracy, 2)} (${point.accuracy_from}), ${digits(point.latency_ms, 5)} ms on ${point.accelerator}` }),
    element("div", { textContent: [known(point.utilization) && "utilization " + percent(point.utilization), known(point.energy_uj) && digits(point.energy_uj, 4) + " uJ", known(point.params) && whole(point.params) + " params", known(point.weight_kib) && digits(point.weight_kib, 4) + " KiB of weights", known(point.macs) && whole(point.macs) + " MACs", point.method].filter(Boolean).join(", ") }),
  ];

  const ring = () => {
    const circle = svg.querySelector(".ring"), at = state.at && isDrawn(state.at) ? view.at(spot(state.at)) : [-50, -50];
    circle?.setAttribute("cx", at[0]);
    circle?.setAttribute("cy", at[1]);
  };

  const point = (to) => {
    state.at = to;
    tip.hidden = !to;
    ring();
    for (const row of byId("points").querySelectorAll("tbody tr")) row.classList.toggle("at", row.systolePoint === to && !!to);
    if (!to) return;
    tip.replaceChildren(...facts(to), ...layers(detailsOf(to), 8));
    const [x, y] = view.at(spot(to)), { offsetWidth: w, offsetHeight: h } = tip;
    tip.style.left = Math.max(0, Math.min(view.width - w, x + 16 + w > view.width ? x - w - 16 : x + 16)) + "px";
    tip.style.top = Math.max(0, Math.min(view.height - h, y + 12)) + "px";
  };

  const nearest = (event) => {
    const box = plot.getBoundingClientRect(), [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = null, least = NEAR;
    for (const one of shown) {
      const at = view.at(spot(one)), far = Math.hypot(at[0] - x, at[1] - y) - (one.member ? 2 : 0);
      if (far < least) [best, least] = [one, far];
    }
    return best;
  };

  const picture = ({ title, svg: text }) => {
    const figure = element("details", {}, element("summary", { textContent: title }));
    figure.addEventListener("toggle", () => {
      if (!figure.open || figure.querySelector("img")) return;
      figure.append(element("img", { alt: title, src: URL.createObjectURL(new Blob([text], { type: "image/svg+xml" })) }));
    });
    return figure;
  };

  const layerTable = (one) => {
    const titles = ["layer", "operator", "MACs", "cycles", "utilization", "bound"];
    const row = (layer) => element("tr", {}, ...[layer.name, layer.op, whole(layer.macs), whole(layer.cycles), percent(layer.utilization), layer.bound].map((text, i) => element("td", { className: i < 2 ? "word" : "", textContent: text })));
    const head = element("tr", {}, ...titles.map((title, i) => element("th", { scope: "col", className: i < 2 ? "word" : "", textContent: title })));
    return element("details", {}, element("summary", { textContent: `${one.layers.length} layers` }), element("div", { className: "scroll" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...one.layers.map(row)))));
  };

  const body = (one) => {
    if (!one) return [element("p", { className: "faint", textContent: data.networks ? "This page shows no network of this point: it has many points, and networks of those on a front alone." : "Nothing more is known of this point." })];
    const parts = one.problems.map((problem) => element("p", { textContent: problem }));
    if (one.facts.length) parts.push(element("dl", {}, ...one.facts.map(([name, text]) => element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: text })))));
    parts.push(...layers(one, 12));
    if (one.layers.length) parts.push(layerTable(one));
    if (one.pictures.length) parts.push(element("h3", { textContent: "Pictures" }), ...one.pictures.map(picture));
    if (one.network) parts.push(element("h3", { textContent: "network.yaml" }), element("pre", { tabIndex: 0, textContent: one.network }));
    return parts;
  };

  const show = (title, first, one, closes) => {
    const pane = byId("details");
    for (const image of pane.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    const close = element("button", { type: "button", textContent: "close" });
    close.addEventListener("click", shut);
    pane.replaceChildren(element("div", { className: "head" }, element("h2", { id: "details-title", textContent: title }), ...(closes ? [close] : [])), ...first, ...body(one));
    pane.hidden = false;
    return pane;
  };

  const open = (one) => {
    state.open = one;
    const pane = show(one.name, facts(one).slice(1), detailsOf(one), true);
    pane.focus({ preventScroll: true });
    pane.scrollIntoView({ block: "nearest" });
  };
  const shut = () => {
    byId("details").hidden = true;
    state.open = null;
    svg.focus({ preventScroll: true });
  };

  svg.addEventListener("pointermove", (event) => point(nearest(event)));
  svg.addEventListener("pointerleave", () => point(null));
  svg.addEventListener("click", (event) => { const one = nearest(event); point(one); if (one) open(one); });
  svg.addEventListener("blur", () => point(null));
  svg.addEventListener("keydown", (event) => {
    const line = shown.filter(isDrawn).sort((a, b) => along(a, b) || a.place - b.place);
    const at = line.indexOf(state.at);
    const go = { ArrowRight: at + 1, ArrowLeft: at < 0 ? line.length - 1 : at - 1, Home: 0, End: line.length - 1 }[event.key];
    if (go !== undefined && line.length) { event.preventDefault(); point(line[Math.max(0, Math.min(line.length - 1, go))]); }
    if (event.key === "Enter" && state.at) { event.preventDefault(); open(state.at); }
    if (event.key === "Escape") point(null);
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && state.open) shut(); });

  // Table

  const head = byId("points").querySelector("thead tr"), rows = byId("points").querySelector("tbody");
  const headings = () => head.replaceChildren(...COLUMNS.map((column) => {
    const way = state.sort === column.key ? (state.down ? "descending" : "ascending") : "none";
    const button = element("button", { type: "button", textContent: column.title + { ascending: " ▲", descending: " ▼", none: "" }[way] });
    button.addEventListener("click", () => {
      state.down = state.sort === column.key ? !state.down : column.key === "accuracy" || column.key === "utilization";
      state.sort = column.key;
      state.page = 0;
      select();
      table();
      head.children[COLUMNS.indexOf(column)].firstChild.focus();
    });
    const cell = element("th", { scope: "col", className: column.word ? "word" : "" }, button);
    cell.setAttribute("aria-sort", way);
    return cell;
  }));
  const row = (one) => {
    const made = element("tr", {}, ...COLUMNS.map((column) => {
      const text = (column.text ?? column.of)(one);
      if (column.key !== "name") return element("td", { className: column.word ? "word" : "", textContent: text });
      const button = element("button", { type: "button", textContent: text });
      button.addEventListener("click", () => open(one));
      button.addEventListener("focus", () => point(one));
      return element("td", { className: "word name-cell" }, button);
    }));
    made.systolePoint = one;
    made.addEventListener("pointerenter", () => point(one));
    made.addEventListener("pointerleave", () => point(null));
    return made;
  };
  const table = () => {
    headings();
    const from = state.page * state.size, upto = Math.min(shown.length, from + state.size);
    rows.replaceChildren(...shown.slice(from, upto).map(row));
    const pages = Math.ceil(shown.length / state.size);
    const turn = (text, to) => {
      const button = element("button", { type: "button", textContent: text, disabled: to < 0 || to >= pages || to === state.page });
      button.addEventListener("click", () => { state.page = to; table(); });
      return button;
    };
    const told = shown.length ? `${from + 1} to ${upto} of ${shown.length}` : "no point has this name";
    byId("pages").replaceChildren(...(pages > 1 ? [turn("first", 0), turn("back", state.page - 1)] : []), element("span", { textContent: told }), ...(pages > 1 ? [turn("on", state.page + 1), turn("last", pages - 1)] : []));
  };

  const measures = () => byId("measures").replaceChildren(...fronts.filter((f) => !state.accelerator || f.accelerator === state.accelerator).map((f) => element("p", {
    textContent: `${f.accelerator}: ${f.front.length} of ${f.points.length} points on the front, hypervolume ${digits(f.hypervolume, 6)} (${OBJECTIVES.join(" × ")}) up to the reference ${OBJECTIVES.map((name) => MEASURES[name].reference(f.reference[name.replace("-", "_")])).join(", ")}`,
  })));

  const refresh = () => { select(); point(null); draw(); table(); measures(); };

  const controls = () => {
    const option = (value, text) => element("option", { value, textContent: text });
    byId("accelerator").append(option("", "all"), ...fronts.map((f) => option(f.accelerator, f.accelerator)));
    byId("accelerators").hidden = fronts.length < 2;
    const several = Object.keys(SERIES).filter((key) => distinct(SERIES[key]).length > 1);
    const kinds = several.length ? several : ["accelerator"];
    state.series = kinds[0];
    byId("series").append(...kinds.map((key) => option(key, key)));
    byId("accelerator").addEventListener("change", (event) => { state.accelerator = event.target.value; refresh(); });
    byId("series").addEventListener("change", (event) => { state.series = event.target.value; refresh(); });
    byId("filter").addEventListener("input", (event) => { state.filter = event.target.value; state.page = 0; refresh(); });
    byId("members").addEventListener("change", (event) => { state.members = event.target.checked; state.page = 0; refresh(); });
    byId("controls").addEventListener("submit", (event) => event.preventDefault());
  };

  byId("lead").textContent = data.lead;
  byId("notes").hidden = !data.notes.length;
  byId("notes").querySelector("ul").append(...data.notes.map((text) => element("li", { textContent: text })));
  const alone = data.details.length === 1 && points.length <= 1;
  if (points.length && !alone) {
    byId("front").hidden = byId("points").hidden = false;
    controls();
    refresh();
    new ResizeObserver(() => { if (view.width !== plot.clientWidth || view.height !== plot.clientHeight) { point(null); draw(); } }).observe(plot);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    window.addEventListener("beforeprint", () => { point(null); state.size = PRINTED; state.page = 0; table(); draw(); });
    window.addEventListener("afterprint", () => { state.size = PAGE; table(); draw(); });
  }
  if (alone) {
    show("Run", points.flatMap((one) => facts(one).slice(1)), data.details[0], false);
    for (const figure of byId("details").querySelectorAll("details")) if (figure.firstChild.textContent === "network") figure.open = true;
  }
})();
