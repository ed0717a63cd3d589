// What happens when somebody does something.

const $ = (id) => document.getElementById(id);
const VIEWS = [
  ["reach", "Reach"],
  ["circle", "Circle"],
  ["both", "Both"],
  ["side", "Side by side"],
];

// --- the head and the switches -------------------------------------------------------------------

function fillSummary() {
  const counts = scene.settings.map((_, setting) => scene.setting.filter((one) => one === setting).length);
  const parts = scene.settings.map((name, ix) => (counts[ix] ? `${counts[ix].toLocaleString("en")} ${inWords(name)}` : ""));
  const onRoads = every(areaCount).filter((ix) => !isCircle(ix) && scene.circleM[ix] !== null).length;
  const reachCount = every(areaCount).filter((ix) => scene.minutes[ix] !== null).length;
  $("summary").textContent = [
    `${areaCount.toLocaleString("en")} ${areaCount === 1 ? "area" : "areas"}: ${parts.filter(Boolean).join(", ")}`,
    reachCount ? `${onRoads.toLocaleString("en")} of ${reachCount.toLocaleString("en")} reaches by minutes on real streets` : "",
    `catalogue ${scene.version}`,
  ].filter(Boolean).join(" · ");
}

function fillViews() {
  for (const [view, title] of VIEWS) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "view", value: view });
    input.checked = shown.view === view;
    input.addEventListener("change", () => {
      shown.view = view;
      drawSoon();
    });
    label.append(input, text("span", title));
    $("views").append(label);
  }
}

function fillSettings() {
  scene.settings.forEach((setting, ix) => {
    if (!scene.setting.includes(ix)) return;
    addSwitch(setting, inWords(setting), setting, (isOn) => shown.hidden[isOn ? "delete" : "add"](setting));
  });
  if (scene.towns.lon.length) {
    addSwitch("towns", "towns", "town", (isOn) => (shown.hasTowns = isOn));
  }
}

function addSwitch(value, words, mark, turn) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "checkbox", checked: true, value });
  input.addEventListener("change", () => {
    turn(input.checked);
    drawSoon();
  });
  label.append(input, text("span", words, `mark ${mark}`));
  $("settings").append(label);
}

// --- choosing ------------------------------------------------------------------------------------

function choose(areaIxs, isSought = false) {
  shown.chosen = areaIxs;
  if (isSought && areaIxs.length) showAreas(areaIxs);
  $("detail").replaceChildren(...(areaIxs.length ? areaIxs.flatMap(detailOf) : greeting()));
  fillTable();
  drawSoon();
}

const greeting = () => [text("p", "Choose a store on the map or in the list: here stands how far its reach goes, and why.", "hint")];

function detailOf(areaIx) {
  const title = text("h2", areaName(areaIx), `mark ${settingOf(areaIx)}`);
  const facts = document.createElement("dl");
  for (const [term, fact] of factsOf(areaIx)) {
    if (fact) facts.append(text("dt", term), text("dd", fact));
  }
  return [title, text("p", scene.ids[areaIx], "id"), facts, ...neighboursOf(areaIx)];
}

function factsOf(areaIx) {
  const people = scene.people[areaIx];
  return [
    ["Setting", inWords(settingOf(areaIx))],
    ["Reach", `${reachInWords(areaIx)}, ${threeDigits(scene.areaKm2[areaIx])} km²`],
    ["Circle", circleInWords(areaIx)],
    ["People", people === null ? "" : `about ${aboutPeople(people)} live in it`],
    ["Why", whyOf(areaIx)],
    ["Place", `${degrees(scene.lat[areaIx] / STEPS, "N", "S")}, ${degrees(scene.lon[areaIx] / STEPS, "E", "W")}`],
  ];
}

function circleInWords(areaIx) {
  const radius = scene.circleM[areaIx];
  if (radius === null) return "";
  if (isCircle(areaIx)) return `the reach is a circle of ${metres(radius)}`;
  const size = Math.PI * (radius / 1000) ** 2;
  const ratio = size / scene.areaKm2[areaIx];
  const compared = ratio >= 1 ? `${ratio.toFixed(1)} times as large` : `${percent(ratio)} as large`;
  return `${metres(radius)} without roads: ${compared}, agreement ${percent(scene.agreement[areaIx])}`;
}

function neighboursOf(areaIx) {
  const pairs = overlapsOf.get(areaIx) ?? [];
  if (!pairs.length) return [];
  const items = document.createElement("ul");
  for (const ix of pairs.slice(0, 5)) {
    const { first, second } = scene.overlaps;
    const other = first[ix] === areaIx ? second[ix] : first[ix];
    const button = Object.assign(text("button", areaName(other)), { type: "button" });
    button.addEventListener("click", () => choose([areaIx, other], true));
    const item = document.createElement("li");
    item.append(`${percent(shareOf(areaIx, ix))} also in `, button);
    items.append(item);
  }
  if (pairs.length > 5) items.append(text("li", `and in ${pairs.length - 5} more`));
  return [text("h3", "Overlaps"), items];
}

// --- the lists -----------------------------------------------------------------------------------

function fillTabs() {
  const tabs = Object.entries(LISTS).map(([name, { title, count }]) => {
    const tab = text("button", title);
    tab.append(text("span", count.toLocaleString("en")));
    Object.assign(tab, { type: "button", id: `tab-${name}` });
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", "list");
    tab.setAttribute("aria-selected", String(list.name === name));
    tab.tabIndex = list.name === name ? 0 : -1;
    tab.addEventListener("click", () => openList(name));
    return tab;
  });
  $("tabs").replaceChildren(...tabs);
  $("list").setAttribute("aria-labelledby", `tab-${list.name}`);
}

function openList(name) {
  Object.assign(list, { name, sorted: null, isDown: false, page: 0 });
  fillTabs();
  refresh();
}

function refresh() {
  find($("search").value);
  fillTable();
  drawSoon();
}

$("tabs").addEventListener("keydown", (event) => {
  const names = Object.keys(LISTS);
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  openList(names[(names.indexOf(list.name) + step + names.length) % names.length]);
  $(`tab-${list.name}`).focus();
});

$("search").addEventListener("input", () => {
  list.page = 0;
  refresh();
});

$("table").addEventListener("click", (event) => {
  const column = event.target.closest("th button")?.dataset.column;
  const row = event.target.closest("tbody tr")?.dataset.row;
  if (column !== undefined) sortBy(Number(column));
  if (row !== undefined) choose(LISTS[list.name].areas(Number(row)), true);
});

function sortBy(column) {
  list.isDown = list.sorted === column ? !list.isDown : Boolean(LISTS[list.name].columns[column].number);
  list.sorted = column;
  refresh();
  document.querySelector(`#table th button[data-column="${column}"]`).focus();
}

$("pages").addEventListener("click", (event) => {
  const page = event.target.closest("button")?.dataset.page;
  if (page === undefined) return;
  list.page = Number(page);
  fillTable();
});

// --- the map -------------------------------------------------------------------------------------

const pointers = new Map(); // fingers and mice that are down: where each was last
let wasDragged = false;

const at = (event) => ({ x: event.offsetX, y: event.offsetY });
const spread = () => {
  const [one, other] = pointers.values();
  return Math.hypot(one.x - other.x, one.y - other.y);
};

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, at(event));
  if (pointers.size === 1) wasDragged = false;
});

canvas.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return hover(event);
  const now = at(event);
  if (pointers.size === 1) {
    wasDragged ||= Math.hypot(now.x - before.x, now.y - before.y) > 2;
    if (wasDragged) move(now.x - before.x, now.y - before.y);
    if (!wasDragged) return undefined;
  }
  const spreadBefore = pointers.size === 2 ? spread() : 0;
  pointers.set(event.pointerId, now);
  if (spreadBefore) zoom(spread() / spreadBefore, now.x, now.y);
  return undefined;
});

for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
}

canvas.addEventListener("click", (event) => {
  if (wasDragged) return;
  const areaIx = areaAt(event.offsetX, event.offsetY);
  choose(areaIx < 0 ? [] : [areaIx]);
});

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(2 ** (-event.deltaY / (event.deltaMode ? 6 : 240)), event.offsetX, event.offsetY);
}, { passive: false });

function hover(event) {
  const tip = $("tip");
  const areaIx = areaAt(event.offsetX, event.offsetY);
  canvas.style.cursor = areaIx < 0 ? "" : "pointer";
  tip.hidden = areaIx < 0;
  if (areaIx < 0) return;
  tip.textContent = `${areaName(areaIx)} · ${inWords(settingOf(areaIx))} · ${reachInWords(areaIx)}`;
  const x = Math.min(event.offsetX + 14, width - tip.offsetWidth - 12);
  tip.style.transform = `translate(${Math.max(x, 8)}px, ${Math.max(event.offsetY - 38, 8)}px)`;
}
canvas.addEventListener("pointerleave", () => ($("tip").hidden = true));

const KEYS = {
  ArrowLeft: () => move(60, 0),
  ArrowRight: () => move(-60, 0),
  ArrowUp: () => move(0, 60),
  ArrowDown: () => move(0, -60),
  "+": () => zoom(1.5),
  "=": () => zoom(1.5),
  "-": () => zoom(1 / 1.5),
  0: showAll,
  Escape: () => choose([]),
};
canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

$("closer").addEventListener("click", () => zoom(1.6));
$("farther").addEventListener("click", () => zoom(1 / 1.6));
$("whole").addEventListener("click", showAll);

// --- light, dark and paper -----------------------------------------------------------------------

function repaint() {
  readColours();
  draw();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
// On paper: ink on white, in the proportions of the sheet, and all rows of the list.
const PAPER_PX = [800, 640];
function setPaper(isPrinted) {
  document.documentElement.classList.toggle("printed", isPrinted);
  Object.assign(list, { page: 0, pageRows: isPrinted ? PRINTED_ROWS : PAGE_ROWS });
  fillTable();
  readColours();
  resize(isPrinted ? PAPER_PX : undefined);
}
window.addEventListener("beforeprint", () => setPaper(true));
window.addEventListener("afterprint", () => setPaper(false));

function begin() {
  const hasBoth = every(areaCount).some((ix) => !isCircle(ix) && scene.circleM[ix] !== null);
  shown.view = scene.isCompared ? "side" : hasBoth ? "both" : "reach";
  canvas.setAttribute("aria-label", `Map of ${areaCount} areas`);
  fillSummary();
  fillViews();
  fillSettings();
  fillTabs();
  readColours();
  refresh();
  choose([]);
  new ResizeObserver(() => resize()).observe(canvas.parentElement);
}
begin();
