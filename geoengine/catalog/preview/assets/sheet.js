// The sheet: what is shown, which piece of the Earth, and where that stands on the canvas.

const canvas = document.getElementById("chart");
const ink = canvas.getContext("2d");
const SERIF = '"Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua", Georgia, "DejaVu Serif", serif';

// What is shown. `sheet` is the middle of the map in radians and its scale in pixels a radian.
const shown = {
  view: "reach", // reach, circle, both or side
  hidden: new Set(), // settings
  hasTowns: true, // populated places, under everything
  found: null, // a Uint8Array, 1 for every area that the search leaves; null for all
  chosen: [], // areas
  hovered: -1,
};
const sheet = { x: 0, y: 0, scale: 1 };
let colours = {};
let width = 0;
let height = 0;

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const named = (name) => style.getPropertyValue(`--${name}`).trim();
  colours = Object.fromEntries(
    ["paper", "land", "town", "ink", "faint", "line", "circle", ...scene.settings].map((name) => [name, named(name)]),
  );
}

const isShown = (areaIx) => !shown.hidden.has(settingOf(areaIx));
const isFound = (areaIx) => shown.found === null || shown.found[areaIx] === 1;

// The panes side by side: which outlines each shows, and where it begins.
function panes() {
  if (shown.view !== "side") return [{ view: shown.view, left: 0, width, title: "" }];
  const half = Math.floor(width / 2);
  return [
    { view: "circle", left: 0, width: half, title: "Circle" },
    { view: "reach", left: half, width: width - half, title: "Reach in force" },
  ];
}

const paneAt = (px) => panes().find((pane) => px < pane.left + pane.width) ?? panes().at(-1);

function bounded() {
  const farthest = Math.min(panes()[0].width, height) / (2.2 * Math.PI);
  sheet.scale = Math.min(EARTH_M / 0.02, Math.max(farthest, sheet.scale));
  sheet.y = Math.max(-3.2, Math.min(3.2, sheet.y));
}

// Turn the sheet so that a box of radians fills it.
function showBox(box) {
  if (!(box.west <= box.east)) return;
  const margin = 0.84;
  const { width: paneWidth } = panes()[0];
  sheet.x = (box.west + box.east) / 2;
  sheet.y = (box.south + box.north) / 2;
  sheet.scale = Math.min(
    (paneWidth * margin) / Math.max(box.east - box.west, 1e-7),
    (height * margin) / Math.max(box.north - box.south, 1e-7),
  );
  bounded();
  drawSoon();
}

function showAreas(areaIxs) {
  showBox(boxOf(areaIxs));
}

function showAll() {
  const every = places.map((_, areaIx) => areaIx);
  const some = every.filter((areaIx) => isShown(areaIx) && isFound(areaIx));
  showAreas(some.length ? some : every);
}

function move(dxPx, dyPx) {
  sheet.x -= dxPx / sheet.scale;
  sheet.y += dyPx / sheet.scale;
  bounded();
  drawSoon();
}

// Closer or farther, so that what lies at a point of the canvas stays there.
function zoom(factor, px = width / 2, py = height / 2) {
  const pane = px === width / 2 ? panes()[0] : paneAt(px);
  const fromMiddle = px === width / 2 ? 0 : px - pane.left - pane.width / 2;
  const before = sheet.scale;
  sheet.scale *= factor;
  bounded();
  sheet.x += fromMiddle / before - fromMiddle / sheet.scale;
  sheet.y -= (py - height / 2) / before - (py - height / 2) / sheet.scale;
  bounded();
  drawSoon();
}

const xOf = (pane, x) => pane.left + pane.width / 2 + (x - sheet.x) * sheet.scale;
const yOf = (y) => height / 2 - (y - sheet.y) * sheet.scale;
