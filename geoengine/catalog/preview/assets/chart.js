// The map: what is drawn on the sheet, and where somebody points on it.

const TINY_PX = 5; // a reach smaller than this is a mark and nothing else ...
const TINY_AMONG_MANY_PX = 24; // ... and where there are many, one smaller than this
const MANY = 1200; // areas on the map
const DASHED_MAX = 80; // circles beside their reaches; among more, only those of what is chosen
const CORNERS_A_PX = 1.2; // of an outline, for each pixel of its size; more nobody sees
const LABELLED_MAX = 250; // more names than this cannot be read anyway
const TOP_PX = 26; // kept free of names, for the degrees
const NEAR_PX = 14; // how far from its mark a store still counts as pointed at
let tinyPx = TINY_PX;

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
