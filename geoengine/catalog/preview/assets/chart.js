// The map: what is drawn on the canvas, and where somebody points on it.

const canvas = document.getElementById("chart");
const ink = canvas.getContext("2d");
const TINY_PX = 5; // a reach smaller than this is a mark and nothing else ...
const TINY_AMONG_MANY_PX = 24; // ... and where there are many, one smaller than this
const MANY = 1200; // areas on the map
const DASHED_MAX = 80; // circles beside their reaches; among more, only those of what is chosen
const TOP_PX = 26; // kept free of names, for the degrees
const CORNERS_A_PX = 1.2; // of an outline, for each pixel of its size; more nobody sees
const LABELLED_MAX = 250; // more names than this cannot be read anyway
const NEAR_PX = 14; // how far from its mark a store still counts as pointed at
const NEATLINE_PX = 6;
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
let tinyPx = TINY_PX;
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

// --- the sheet -----------------------------------------------------------------------------------

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

// --- drawing -------------------------------------------------------------------------------------

let isDrawing = false;
function drawSoon() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    draw();
  });
}

// Fit the canvas to its frame, or to a size given; what was seen stays in the middle.
function resize(sizePx) {
  if (!sizePx && document.documentElement.classList.contains("printed")) return;
  const box = canvas.parentElement.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  const isFirst = width === 0;
  const before = Math.min(width, height);
  [width, height] = sizePx ?? [box.width, box.height].map((side) => Math.max(Math.floor(side), 1));
  if (!isFirst) sheet.scale *= Math.min(width, height) / before;
  [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  ink.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (isFirst) showAll();
  draw();
}

function draw() {
  ink.fillStyle = colours.land;
  ink.fillRect(0, 0, width, height);
  for (const pane of panes()) {
    ink.save();
    ink.beginPath();
    ink.rect(pane.left, 0, pane.width, height);
    ink.clip();
    drawPane(pane);
    ink.restore();
  }
  drawScale();
}

function drawPane(pane) {
  const lines = graticule(pane);
  if (shown.hasTowns) drawTowns(pane);
  drawGraticule(pane, lines);
  const visible = visibleAreas(pane);
  tinyPx = visible.length > MANY ? TINY_AMONG_MANY_PX : TINY_PX;
  const faint = visible.filter((areaIx) => !isFound(areaIx));
  const clear = visible.filter(isFound);
  ink.globalAlpha = 0.18;
  drawMarks(pane, faint, visible.length);
  ink.globalAlpha = 1;
  drawAreas(pane, clear);
  drawMarks(pane, clear, visible.length);
  const chosen = shown.chosen.filter(isShown);
  chosen.forEach((areaIx) => drawChosen(pane, areaIx));
  drawLabels(pane, [...chosen, ...clear]);
  drawNeatline(pane, lines);
  if (pane.title) drawTitle(pane);
}

// Where people live: each place a disc as large as they need, in one shade however many overlap.
function drawTowns(pane) {
  const { lon, lat, radiusM } = scene.towns;
  ink.beginPath();
  lon.forEach((steps, ix) => {
    const latitude = (lat[ix] / STEPS) * RADIAN;
    const radius = (radiusM[ix] / EARTH_M / Math.cos(latitude)) * sheet.scale;
    const [x, y] = [xOf(pane, (steps / STEPS) * RADIAN), yOf(mercatorY(latitude))];
    const isSeen = radius > 0.5 && x + radius > pane.left && x - radius < pane.left + pane.width;
    if (!isSeen || y + radius < 0 || y - radius > height) return;
    ink.moveTo(x + radius, y);
    ink.arc(x, y, radius, 0, 2 * Math.PI);
  });
  ink.fillStyle = colours.town;
  ink.fill();
}

function visibleAreas(pane) {
  const halfWidth = pane.width / 2 / sheet.scale;
  const halfHeight = height / 2 / sheet.scale;
  const visible = [];
  for (let areaIx = 0; areaIx < areaCount; areaIx++) {
    const [{ x, y }, half] = [places[areaIx], halves[areaIx]];
    const isInside =
      Math.abs(x - sheet.x) < halfWidth + half && Math.abs(y - sheet.y) < halfHeight + half;
    if (isInside && isShown(areaIx)) visible.push(areaIx);
  }
  return visible;
}

// Outlines as a path; of small ones not every corner, for who would see it.
function trace(pane, areaIx, outlines) {
  const [left, top] = [xOf(pane, places[areaIx].x), yOf(places[areaIx].y)];
  const cornersMax = Math.max(8, sizeOf(areaIx) * CORNERS_A_PX);
  ink.beginPath();
  for (const outline of outlines) {
    const stride = 2 * Math.max(1, Math.floor(outline.length / 2 / cornersMax));
    ink.moveTo(left + outline[0] * sheet.scale, top - outline[1] * sheet.scale);
    for (let ix = stride; ix < outline.length; ix += stride) {
      ink.lineTo(left + outline[ix] * sheet.scale, top - outline[ix + 1] * sheet.scale);
    }
    ink.closePath();
  }
}

const sizeOf = (areaIx) => 2 * halves[areaIx] * sheet.scale;

// By setting, for to set a colour costs a browser more than to fill an outline.
function bySetting(areaIxs) {
  return scene.settings.map((setting) => [setting, areaIxs.filter((ix) => settingOf(ix) === setting)]);
}

function drawAreas(pane, areaIxs) {
  const large = areaIxs.filter((areaIx) => sizeOf(areaIx) >= tinyPx);
  ink.lineWidth = 1.1;
  for (const [setting, some] of bySetting(large)) {
    ink.fillStyle = ink.strokeStyle = colours[setting];
    some.forEach((areaIx) => drawArea(pane, areaIx));
  }
  const isOrderly = large.length <= DASHED_MAX && !shown.chosen.length;
  if (pane.view === "both" && isOrderly) drawDashed(pane, large, 1);
}

// An area; where others are chosen, it stands back.
function drawArea(pane, areaIx) {
  const isBack = shown.chosen.length > 0 && !shown.chosen.includes(areaIx);
  trace(pane, areaIx, outlinesIn(pane, areaIx));
  ink.globalAlpha = isBack ? 0.06 : 0.16;
  ink.fill("evenodd");
  ink.globalAlpha = isBack ? 0.35 : 0.9;
  ink.stroke();
  ink.globalAlpha = 1;
}

const outlinesIn = (pane, areaIx) => (pane.view === "circle" ? circleOf(areaIx) : reachOf(areaIx));

// The circles of those areas whose reach is none.
function drawDashed(pane, areaIxs, widthPx) {
  ink.strokeStyle = colours.circle;
  ink.lineWidth = widthPx;
  ink.setLineDash([5, 4]);
  for (const areaIx of areaIxs) {
    if (isCircle(areaIx)) continue;
    trace(pane, areaIx, circleOf(areaIx));
    ink.stroke();
  }
  ink.setLineDash([]);
}

function drawChosen(pane, areaIx) {
  if (sizeOf(areaIx) >= TINY_PX) {
    trace(pane, areaIx, outlinesIn(pane, areaIx));
    ink.strokeStyle = colours[settingOf(areaIx)];
    ink.lineWidth = 2.5;
    ink.stroke();
    if (pane.view === "both") drawDashed(pane, [areaIx], 2);
  }
  ink.beginPath();
  ink.arc(xOf(pane, places[areaIx].x), yOf(places[areaIx].y), 9, 0, 2 * Math.PI);
  ink.strokeStyle = colours.ink;
  ink.lineWidth = 1.5;
  ink.stroke();
}

// A mark a store; its form says the setting too, for who prints in grey or sees fewer colours.
const FORMS = {
  city: (x, y, r) => ink.arc(x, y, r, 0, 2 * Math.PI),
  suburb: (x, y, r) => polygon(x, y, r * 1.3, 4, 0),
  countryside: (x, y, r) => polygon(x, y, r * 1.35, 3, Math.PI / 2),
  alone: (x, y, r) => polygon(x, y, r * 1.2, 4, Math.PI / 4),
};

function polygon(x, y, radius, corners, turn) {
  for (let ix = 0; ix < corners; ix++) {
    const angle = turn + (ix / corners) * 2 * Math.PI;
    ink.lineTo(x + radius * Math.cos(angle), y - radius * Math.sin(angle));
  }
  ink.closePath();
}

function drawMarks(pane, areaIxs, visibleCount) {
  const drawMark = visibleCount > MANY ? drawDot : drawForm;
  const radius = visibleCount > 300 ? 2.8 : 4;
  ink.strokeStyle = colours.land;
  ink.lineWidth = 2;
  for (const [setting, some] of bySetting(areaIxs)) {
    ink.fillStyle = colours[setting];
    for (const areaIx of some) {
      drawMark(xOf(pane, places[areaIx].x), yOf(places[areaIx].y), setting, radius);
    }
  }
}

function drawForm(x, y, setting, radius) {
  ink.beginPath();
  FORMS[setting](x, y, radius);
  ink.stroke();
  ink.fill();
}

// Among many a mark is a dot: a form that small nobody makes out, and ten thousand take a second.
function drawDot(x, y) {
  ink.fillRect(x - 1.5, y - 1.5, 3, 3);
}

// Names beside their marks, where no other name stands; those first in the list win.
function drawLabels(pane, areaIxs) {
  const taken = [];
  let count = 0;
  ink.font = `italic 13px ${SERIF}`;
  ink.textBaseline = "middle";
  ink.lineJoin = "round";
  for (const areaIx of new Set(areaIxs)) {
    if (count >= LABELLED_MAX) break;
    const [at, y] = [xOf(pane, places[areaIx].x), yOf(places[areaIx].y)];
    if (at < pane.left || at > pane.left + pane.width || y < TOP_PX || y > height) continue;
    count += 1;
    const name = shortened(scene.names[areaIx]);
    const { width: nameWidth } = ink.measureText(name);
    const isRoom = at + nameWidth + 20 < pane.left + pane.width;
    const x = isRoom ? at + 11 : at - nameWidth - 11;
    const box = { left: x, right: x + nameWidth, top: y - 9, bottom: y + 9 };
    if (taken.some((other) => meet(box, other))) continue;
    taken.push(box);
    ink.strokeStyle = colours.land;
    ink.lineWidth = 4;
    ink.strokeText(name, x, y);
    ink.fillStyle = colours.ink;
    ink.fillText(name, x, y);
  }
}

const shortened = (name) => (name.length > 32 ? `${name.slice(0, 31)}…` : name);
const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

// --- the furniture of a map ----------------------------------------------------------------------

const STEPS_DEG = [45, 30, 20, 10, 5, 2, 1, 1 / 2, 1 / 3, 1 / 6, 1 / 12, 1 / 30, 1 / 60];
const FINE_STEPS_DEG = [30, 20, 10, 5, 2, 1].map((seconds) => seconds / 3600);

// The meridians and parallels of a pane: [{at: pixel, degrees}], and the step between them.
function graticule(pane) {
  const pxOfDegree = sheet.scale * RADIAN;
  const wanted = Math.max(pane.width / 6, 90) / pxOfDegree;
  const steps = [...STEPS_DEG, ...FINE_STEPS_DEG];
  const step = steps.findLast((one) => one >= wanted) ?? steps[0];
  const west = (sheet.x - pane.width / 2 / sheet.scale) / RADIAN;
  const east = (sheet.x + pane.width / 2 / sheet.scale) / RADIAN;
  const south = latitudeOf(sheet.y - height / 2 / sheet.scale) / RADIAN;
  const north = latitudeOf(sheet.y + height / 2 / sheet.scale) / RADIAN;
  const meridians = [];
  for (let ix = Math.floor(west / step); ix * step <= east; ix++) {
    meridians.push({ at: xOf(pane, ix * step * RADIAN), degrees: ix * step, ix });
  }
  const parallels = [];
  for (let ix = Math.floor(south / step); ix * step <= north; ix++) {
    parallels.push({ at: yOf(mercatorY(ix * step * RADIAN)), degrees: ix * step, ix });
  }
  return { step, meridians, parallels };
}

function drawGraticule(pane, { meridians, parallels }) {
  ink.beginPath();
  for (const { at } of meridians) {
    ink.moveTo(Math.round(at) + 0.5, 0);
    ink.lineTo(Math.round(at) + 0.5, height);
  }
  for (const { at } of parallels) {
    ink.moveTo(pane.left, Math.round(at) + 0.5);
    ink.lineTo(pane.left + pane.width, Math.round(at) + 0.5);
  }
  ink.strokeStyle = colours.line;
  ink.lineWidth = 0.8;
  ink.stroke();
}

// The frame of a printed map: a band that is dark from every other line to the next, with degrees.
function drawNeatline(pane, { step, meridians, parallels }) {
  const band = NEATLINE_PX;
  const [right, bottom] = [pane.left + pane.width, height];
  ink.fillStyle = colours.paper;
  for (const [x, y, w, h] of frame(pane, band)) ink.fillRect(x, y, w, h);
  ink.fillStyle = colours.ink;
  const inset = { west: pane.left + band, east: right - band, north: band, south: bottom - band };
  meridians.forEach(({ at, ix }, n) => {
    if (ix % 2) return;
    const from = Math.max(at, inset.west);
    const to = Math.min(meridians[n + 1]?.at ?? right, inset.east);
    if (to > from) [1.5, bottom - band + 1.5].forEach((y) => ink.fillRect(from, y, to - from, band - 3));
  });
  parallels.forEach(({ at, ix }, n) => {
    if (ix % 2) return;
    const from = Math.min(at, inset.south);
    const to = Math.max(parallels[n + 1]?.at ?? 0, inset.north);
    if (from > to) [pane.left + 1.5, right - band + 1.5].forEach((x) => ink.fillRect(x, to, band - 3, from - to));
  });
  ink.strokeStyle = colours.ink;
  ink.lineWidth = 1;
  ink.strokeRect(pane.left + 0.5, 0.5, pane.width - 1, bottom - 1);
  ink.strokeRect(pane.left + band - 0.5, band - 0.5, pane.width - 2 * band + 1, bottom - 2 * band + 1);
  drawDegrees(pane, step, meridians, parallels);
}

const frame = (pane, band) => [
  [pane.left, 0, pane.width, band],
  [pane.left, height - band, pane.width, band],
  [pane.left, 0, band, height],
  [pane.left + pane.width - band, 0, band, height],
];

function drawDegrees(pane, step, meridians, parallels) {
  ink.font = `10.5px ${SERIF}`;
  const write = (text, x, y) => {
    ink.strokeStyle = colours.land;
    ink.lineWidth = 3;
    ink.strokeText(text, x, y);
    ink.fillStyle = colours.faint;
    ink.fillText(text, x, y);
  };
  ink.textBaseline = "top";
  for (const { at, degrees: value } of meridians) {
    if (at > pane.left + 24 && at < pane.left + pane.width - 80) {
      write(sexagesimal(((((value + 180) % 360) + 360) % 360) - 180, step, "E", "W"), at + 3, NEATLINE_PX + 3);
    }
  }
  ink.textBaseline = "bottom";
  for (const { at, degrees: value } of parallels) {
    if (at > 40 && at < height - 40) {
      write(sexagesimal(value, step, "N", "S"), pane.left + NEATLINE_PX + 4, at - 1);
    }
  }
}

// Degrees as maps write them, as finely as the lines stand.
function sexagesimal(value, step, positive, negative) {
  const seconds = Math.round(Math.abs(value) * 3600);
  const hemisphere = seconds === 0 ? "" : value < 0 ? ` ${negative}` : ` ${positive}`;
  const two = (number) => String(number).padStart(2, "0");
  let text = `${Math.floor(seconds / 3600)}°`;
  if (step < 1) text += ` ${two(Math.floor(seconds / 60) % 60)}′`;
  if (step < 1 / 60) text += ` ${two(seconds % 60)}″`;
  return text + hemisphere;
}

function drawScale() {
  const metresAPx = (EARTH_M * Math.cos(latitudeOf(sheet.y))) / sheet.scale;
  const most = metresAPx * Math.min(220, width / 3);
  const power = 10 ** Math.floor(Math.log10(most));
  const length = [5, 2, 1].map((digit) => digit * power).find((one) => one <= most);
  const [px, left, top] = [length / metresAPx, 22, height - 32];
  ink.fillStyle = colours.land;
  ink.globalAlpha = 0.85;
  ink.fillRect(left - 8, top - 18, px + 56, 34);
  ink.globalAlpha = 1;
  ink.strokeStyle = ink.fillStyle = colours.ink;
  ink.lineWidth = 1;
  ink.strokeRect(left + 0.5, top + 0.5, px, 5);
  for (const quarter of [0, 2]) ink.fillRect(left + (quarter * px) / 4, top + 0.5, px / 4, 5);
  ink.font = `11.5px ${SERIF}`;
  ink.textBaseline = "alphabetic";
  ink.fillText("0", left - 3, top - 5);
  ink.fillText(length < 1000 ? `${length} m` : `${length / 1000} km`, left + px - 8, top - 5);
}

function drawTitle(pane) {
  ink.font = `600 13px ${SERIF}`;
  ink.textBaseline = "top";
  const textWidth = ink.measureText(pane.title).width;
  const x = pane.left + pane.width - textWidth - 22;
  ink.fillStyle = colours.paper;
  ink.fillRect(x - 8, 22, textWidth + 16, 24);
  ink.strokeStyle = ink.fillStyle = colours.ink;
  ink.lineWidth = 1;
  ink.strokeRect(x - 7.5, 22.5, textWidth + 15, 23);
  ink.fillText(pane.title, x, 28);
}

// --- pointing ------------------------------------------------------------------------------------

// The area at a point of the canvas: the nearest mark, or else the smallest reach around it.
function areaAt(px, py) {
  const pane = paneAt(px);
  let [nearest, nearestPx] = [-1, NEAR_PX];
  let [smallest, smallestKm2] = [-1, Infinity];
  for (const areaIx of visibleAreas(pane)) {
    const [dx, dy] = [px - xOf(pane, places[areaIx].x), py - yOf(places[areaIx].y)];
    const awayPx = Math.hypot(dx, dy);
    if (awayPx < nearestPx) [nearest, nearestPx] = [areaIx, awayPx];
    if (scene.areaKm2[areaIx] >= smallestKm2 || sizeOf(areaIx) < tinyPx) continue;
    if (isWithin(outlinesIn(pane, areaIx), dx / sheet.scale, -dy / sheet.scale)) {
      [smallest, smallestKm2] = [areaIx, scene.areaKm2[areaIx]];
    }
  }
  return nearest >= 0 ? nearest : smallest;
}
